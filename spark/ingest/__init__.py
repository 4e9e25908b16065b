"""Feeds become listings: read, repair, judge, settle which record of a key stands, upsert. Rejects are kept."""
