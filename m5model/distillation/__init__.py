"""A teacher becomes a student that gives the same judgements on pairs."""
