"""Label sets come in: `reading` → `judging` → `pinning` → `entities` → `splitting` → `versions`.

`import_labels` is the whole way.
"""
