"""Entry points, one per stage."""
