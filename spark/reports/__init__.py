"""Facts that reports show."""
