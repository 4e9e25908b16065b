"""The model side of M5: text rendering, training, distillation, export, and the torch-free runtime.

The toolkit (m5model.toolkit describes each function):

    import m5model
    encoder = m5model.load("workspace/bundles/BUNDLE-ID")
    vectors = encoder.encode(["red cotton shirt"])          # float32 (1, d), unit length; m5model.encode(BUNDLE, texts) at once
    m5model.similarity(vectors, vectors)                    # float32 (1, 1), cosines
    m5model.read_features("brands", space=encoder.space_id).read_pandas()
    m5model.finetune(BUNDLE, pairs="LABEL-SET", steps=300)  # and distill, export

Importing it loads nothing heavy: numpy, onnxruntime and tokenizers come with the first use of a function, torch with
``finetune``, ``distill`` and ``export``. Once it is imported, ``transformers.AutoModel`` opens teachers, too.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from m5model.registration import register_when_asked

if TYPE_CHECKING:
    from m5model.toolkit import MadeBundle, distill, encode, encode_async, finetune, load, read_features, similarity

__all__ = ["MadeBundle", "distill", "encode", "encode_async", "export", "finetune", "load", "read_features", "similarity"]
__version__ = "0.1.0"

register_when_asked()
# Before onnxruntime is imported: else it keeps an id of the machine in the home folder and sends figures of its use.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Before datasets is: else every label set that is opened draws a bar into the log of a job. M5 says itself how far it is.
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")


def __getattr__(name: str) -> Any:
    """Import a function of the toolkit when it is first asked for (PEP 562). ``export`` is a folder that can be called."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "export":
        return import_module("m5model.export")
    found = getattr(import_module("m5model.toolkit"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
