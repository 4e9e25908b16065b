"""A sample catalogue of 15 locales and 10 languages, made up from words of the project's own, with labels for all partners.

Seeded and streamed: the same seed and number of rows give the same bytes. Entry: ``write_catalogue`` in catalogue.py.
"""
