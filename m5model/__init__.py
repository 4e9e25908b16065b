"""The model side of M5: text rendering, training, distillation, export, and the torch-free runtime.

The toolkit's door:

    import m5model
    vectors = m5model.load("workspace/bundles/BUNDLE-ID").encode(["red cotton shirt"])   # float32 (1, d), unit length
"""

from m5model.toolkit import load

__all__ = ["load"]
__version__ = "0.1.0"
