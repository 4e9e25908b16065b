"""The embedding engine: what is missing, in waves, through one onnxruntime session per executor."""
