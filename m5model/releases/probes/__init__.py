"""Say what vectors alone know of labels, one file a kind: METRICS, CONSUMED, and probe(data, reading) -> Scored of test.

METRICS judge a release; CONSUMED is the metric of what a consumer has learned. A probe learns little and draws nothing, so that
a difference of two bundles is one of their vectors. What it learns (a threshold, centroids, weights) comes from
``reading.learned``, and what it judges from ``reading.read``: both are of one space, or of two, to see what becomes of a
consumer that learned from the old space and reads the new one.
"""
