"""What executors need to turn texts into vectors: onnxruntime, tokenizers and numpy, no torch."""
