"""The model side of M5: text rendering, training, distillation, export, and the torch-free runtime.

The toolkit's door:

    import m5model
    vectors = m5model.load("workspace/bundles/BUNDLE-ID").encode(["red cotton shirt"])   # float32 (1, d), unit length

Importing it loads nothing heavy: numpy, onnxruntime and tokenizers come with the first use of ``load``. Once it is imported,
``transformers.AutoModel`` opens teachers, too.
"""

from typing import TYPE_CHECKING, Any

from m5model.registration import register_when_asked

if TYPE_CHECKING:
    from m5model.toolkit import load

__all__ = ["load"]
__version__ = "0.1.0"

register_when_asked()


def __getattr__(name: str) -> Any:
    """Import ``load`` when it is first asked for (PEP 562)."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from m5model.toolkit import load

    globals()["load"] = load
    return load


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
