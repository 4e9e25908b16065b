"""Label sets come in: m5model.labels reads, judges and splits rows, `pinning` finds their listings, `versions` keeps the set.

`import_labels` is the whole way.
"""
