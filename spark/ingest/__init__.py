"""Feeds become listings: read, map, clean, judge, stage, decide. Rejects are kept."""
