"""Texts are repaired and languages filled in."""
