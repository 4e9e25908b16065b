"""Training sets, vocabularies and token rows: what training code reads."""
