"""Thin entry points, one per stage: parse, read, transform, write, report."""
