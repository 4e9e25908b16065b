"""Feeds become records."""
