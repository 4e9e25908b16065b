"""From a checkpoint to ONNX: fp32, int8, and the gate that both must pass."""
