"""Bundles: find, open, describe, publish."""
