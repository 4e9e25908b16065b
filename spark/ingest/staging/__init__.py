"""Judged records are written to a staging table and counted."""
