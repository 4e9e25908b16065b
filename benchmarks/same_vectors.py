"""Vectors of one bundle from every way to get them: load, ``m5 encode``, the service, pyfunc, spark_udf, Spark's engine.

    python benchmarks/same_vectors.py [--rows 1000] [--bundle BUNDLE]

The texts are real listings where there are any, else the sample catalogue's. ``differing`` counts the rows whose bytes are not
those of ``m5model.load(BUNDLE).encode(texts)``. The last line of stdout is one JSON object.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import mlflow
import numpy as np
from inputs.commands import M5
from inputs.frames import text_frame
from inputs.listings import read_texts
from inputs.services import find_student, running

import m5model
from m5model.bundles.find import open_bundle
from m5model.releases.pyfunc import save_pyfunc
from m5model.runtime.encoder import read_model
from m5model.runtime.rendering import render
from m5model.training.progress import say
from spark.embedding.engine import EngineModel, embed_texts, engine_settings
from spark.setup.session import build_session

A_REQUEST = 50  # texts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000, help="texts (default: %(default)s)")
    parser.add_argument("--bundle", help="a student; else the newest of the workspace, else one with random weights")
    arguments = parser.parse_args()
    found, origin = read_texts(arguments.rows)
    texts = [" ".join(text.splitlines()) for text in found]  # m5 encode reads one a line
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bundle = find_student(arguments.bundle, folder)
        expected = m5model.load(bundle).encode(texts)
        ways: dict[str, Callable[[], np.ndarray]] = {
            "load_two_threads": lambda: m5model.load(bundle, threads=2).encode(texts),
            "encode_async": lambda: asyncio.run(m5model.encode_async(m5model.load(bundle), texts)),
            "m5_encode": lambda: _from_command(bundle, texts, folder),
            "service": lambda: _from_service(bundle, texts),
            "pyfunc": lambda: _from_pyfunc(bundle, texts, folder / "model"),
        }
        differing = {}
        for name, way in ways.items():
            differing[name] = _count_differing(way(), expected)
            say(f"{name}: {differing[name]} of {len(texts)} differ")
        for name, found in _from_spark(bundle, texts, folder / "model").items():
            differing[name] = _count_differing(found, expected)
            say(f"{name}: {differing[name]} of {len(texts)} differ")
    print(json.dumps({"rows": len(texts), "texts": origin, "bundle": Path(bundle).name, "differing": differing}))
    return 0


def _count_differing(found_BD: np.ndarray, expected_BD: np.ndarray) -> int:
    return sum(found.tobytes() != expected.tobytes() for found, expected in zip(found_BD, expected_BD, strict=True))


def _from_command(bundle: str, texts: list[str], folder: Path) -> np.ndarray:
    lines = "\n".join(texts).encode()
    command = [*M5, "encode", bundle, "--out", str(folder / "vectors.npy")]
    subprocess.run(command, input=lines, check=True)
    return np.load(folder / "vectors.npy")


def _from_service(bundle: str, texts: list[str]) -> np.ndarray:
    vectors: list[list[float]] = []
    with running("m5", bundle) as service, httpx.Client(timeout=60) as client:
        for start in range(0, len(texts), A_REQUEST):
            body = {"texts": texts[start : start + A_REQUEST]}
            vectors += client.post(f"{service.url}/v1/queries:encode", json=body).raise_for_status().json()["vectors"]
    return np.asarray(vectors, np.float32)


def _from_pyfunc(bundle: str, texts: list[str], path: Path) -> np.ndarray:
    save_pyfunc(bundle, str(path))
    return mlflow.pyfunc.load_model(str(path)).predict(texts)


def _from_spark(bundle: str, texts: list[str], path: Path) -> dict[str, np.ndarray]:
    """The vectors of spark_udf, and of the engine that jobs/embed_catalog.py runs in executors."""
    spark = build_session("same_vectors", settings=engine_settings)
    folder, manifest = open_bundle(bundle)
    model = read_model(folder, manifest, "int8")
    frame = text_frame(spark, [render(text, model.rendering) for text in texts], partitions=2)
    broadcast = spark.sparkContext.broadcast(EngineModel(model=model, threads=2))
    engine = {int(row.item_id): row.vector for row in embed_texts(frame, broadcast).select("item_id", "vector").collect()}
    encode = mlflow.pyfunc.spark_udf(spark, str(path), result_type="array<float>", env_manager="local")
    rows = spark.createDataFrame(list(enumerate(texts)), "place int, text string")
    by_udf = {row.place: row.vector for row in rows.select("place", encode("text").alias("vector")).collect()}
    spark.stop()
    return {
        "spark_engine": np.array([engine[place] for place in range(len(texts))], np.float32),
        "spark_udf": np.array([by_udf[place] for place in range(len(texts))], np.float32),
    }


if __name__ == "__main__":
    sys.exit(main())
