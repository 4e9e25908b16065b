"""Pre-built ways to an answer, one file each; ``m5 strategies`` lists them. See m5model/partners/strategy.py."""
