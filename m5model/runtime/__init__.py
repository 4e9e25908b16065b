"""What executors need to turn texts into vectors: onnxruntime, tokenizers and numpy, no torch."""

# How texts are cut into calls and calls are computed. Part of the vector space: a change that alters a byte takes a new name.
RUNTIME = "exact-lengths-v2"
