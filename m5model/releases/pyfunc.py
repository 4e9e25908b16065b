"""A bundle as an MLflow model: ``mlflow.pyfunc.load_model(…).predict(texts)`` and ``spark_udf`` give the toolkit's bytes.

    save_pyfunc("workspace/bundles/STUDENT-ID", "model")
    mlflow.pyfunc.load_model("model").predict(["red cotton shirt"])        # float32 (1, d)

The model is saved as code (m5model/releases/pyfunc_code.py) and the bundle's files, without a pickle. Where it is loaded, m5
must be installed; torch is not needed. Every byte of the bundle is checked when it is opened.
"""

import os
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from m5model.bundles.find import open_bundle
from m5model.runtime.encoder import Encoder, read_model
from schemas.bundle import Precision
from schemas.errors import ModelInputError

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

CODE = Path(__file__).with_name("pyfunc_code.py")
BUNDLE = "bundle"  # the artifact's name
TEXT = "text"  # the column of data frames, and of Spark's
NEEDS = ("numpy", "onnxruntime", "pyarrow", "tokenizers", "boto3", "msgspec", "pandas")


class BundleModel(PythonModel):
    """Texts to vectors, as MLflow calls it."""

    def load_context(self, context: Any) -> None:
        folder, manifest = open_bundle(context.artifacts[BUNDLE])
        precision: Precision = (context.model_config or {}).get("precision", "int8")
        threads = int((context.model_config or {}).get("threads", 1))
        self._encoder = Encoder(read_model(folder, manifest, precision), threads=threads)

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow takes types for a schema
        """float32 (n, d) of a list of texts, a series, or a data frame with a column ``text`` or one column of any name."""
        return self._encoder.encode(list(_texts(model_input)))


def save_pyfunc(
    bundle: str, path: str, *, precision: Precision = "int8", threads: int = 1, example: list[str] | None = None
) -> None:
    """Write the bundle (a folder or s3a:// URI) as an MLflow model into the new folder ``path``, with example texts if given.

    Raises what ``m5model.load`` raises, and mlflow.MlflowException where ``path`` is not empty.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*type hints")  # the signature says more than they would
        mlflow.pyfunc.save_model(path, input_example=example, **_parts(bundle, precision, threads))


def _parts(bundle: str, precision: Precision, threads: int) -> dict[str, Any]:
    folder, manifest = open_bundle(bundle.rstrip("/"))
    read_model(folder, manifest, precision)  # it has that graph
    vectors = Schema([TensorSpec(np.dtype("float32"), (-1, manifest.hidden_size))])
    space = manifest.space_id if precision == "int8" else manifest.space_id_fp32
    return {
        "python_model": str(CODE),
        "artifacts": {BUNDLE: str(folder)},
        "model_config": {"precision": precision, "threads": threads},
        "signature": ModelSignature(inputs=Schema([ColSpec(DataType.string)]), outputs=vectors),
        "pip_requirements": [f"{name}=={version(name)}" for name in NEEDS],
        "metadata": {"m5_bundle": manifest.id, "m5_space_id": space},
    }


def _texts(model_input: Any) -> Iterator[str]:
    if hasattr(model_input, "columns"):
        columns = list(model_input.columns)
        if TEXT not in columns and len(columns) != 1:
            raise ModelInputError(
                f"the columns are {', '.join(map(str, columns))}, expected {TEXT}", next_step=f"call the column of texts {TEXT}"
            )
        model_input = model_input[TEXT if TEXT in columns else columns[0]]
    yield from model_input
