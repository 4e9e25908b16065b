"""The five partner feature views: one module per view, and ``publish``, which builds and writes them."""
