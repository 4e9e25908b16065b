"""Classes of listings: a space in which they lie apart, centroids, words that speak for them, and spellings of one name."""
