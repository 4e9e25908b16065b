"""Attributes of listings: values that a dictionary, a tagger and similar listings propose, and trees that verify them."""
