"""Says what scores are worth: metrics, intervals over entities, comparisons with a verdict, groups, mistakes."""
