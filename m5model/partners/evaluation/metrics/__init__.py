"""Metrics, one file a family: ``METRICS`` is a tuple of evaluation.metric.Metric."""
