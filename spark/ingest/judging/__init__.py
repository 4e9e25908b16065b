"""Rules decide which records are good."""
