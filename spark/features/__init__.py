"""Partner feature views: one file per view in recipes, and ``publish``, which builds and writes them."""
