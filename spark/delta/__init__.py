"""Delta tables: rows, whole files, the log."""
