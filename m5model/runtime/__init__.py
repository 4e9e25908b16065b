"""Turns texts into vectors with onnxruntime, tokenizers and numpy: all that an executor needs, and no torch."""

# Names how texts are cut into calls and calls are computed. It is part of the vector space: a change that alters a byte takes a
# new name.
RUNTIME = "exact-lengths-v2"
