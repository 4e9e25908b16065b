"""A partner's experiment as one page: figures, comparisons, groups, curves, and the worst mistakes as texts."""
