"""Vectors between Arrow and numpy: exact top-k, exact sums, projection."""
