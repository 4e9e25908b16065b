"""The report of a model: a bundle and listings in, facts, one self-contained HTML page out."""
