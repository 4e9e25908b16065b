"""Numbers that describe a row to an ensemble, one file a label kind: fit(given, rows) -> Inputs, load(folder) -> Inputs.

``Inputs`` has names, matrix(data, vectors, rows) -> (k, f) float64 with NaN for what is not known, and save(folder). Where
inputs are made of labels (historical rates), learning_matrix(…) is the same for the rows that are learned from.
"""
