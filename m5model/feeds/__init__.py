"""Reads files of feeds in every form that people have, record by record, and accounts for each byte. No Spark."""
