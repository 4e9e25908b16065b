<<<<<<< HEAD
"""Thin entry points, one per stage: parse, read, transform, write, report."""
=======
"""Entry points, one per stage."""
>>>>>>> features
