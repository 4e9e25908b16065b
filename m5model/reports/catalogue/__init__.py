"""The report of a catalogue: facts in, one self-contained HTML page out."""
