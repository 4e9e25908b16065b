"""Says what an experiment finds beside metrics of scores, one file a label kind: find(data, vectors, judged) -> Findings.

A kind without a file has none. See m5model/partners/finding.py.
"""
