"""A vector is a pure function of its text: one listing, every way in which the engine can meet it, the same bytes.

    python benchmarks/batch_independence.py [--rows 2000] [--preset mini]

Each listing alone (a call of its own, through the engine's task), in random batches, in 1, 2, 7 and 64 partitions, in a full
run against incremental ones, and with one or two threads. The last line of stdout is one JSON object.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from inputs.catalogue import write_listings
from inputs.embeddings import embed, read_vectors
from inputs.frames import text_frame
from inputs.listings import read_texts
from inputs.students import make_student
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from m5model.runtime.encoder import Encoder, ModelBytes
from m5model.runtime.instruction_set import instruction_set
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.tables import create_table, merge_rows, read_table
from spark.embedding.engine import EngineModel, embed_texts, encode_batches, engine_settings
from spark.setup.session import build_session

PARTITIONS = (1, 2, 7, 64)
Vectors = dict[str, np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000, help="listings (default: %(default)s)")
    parser.add_argument("--preset", default="mini", help="size of the student (default: %(default)s)")
    arguments = parser.parse_args()
    texts, origin = read_texts(arguments.rows, seed=3)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "student").mkdir()
        model = make_student(Path(scratch) / "student", arguments.preset, read_texts(20_000, seed=1)[0])
        spark = build_session("batch_independence", settings=engine_settings)
        reference = _as_vectors(_task(model, texts, [len(texts)], threads=2))
        others = {
            "alone": _as_vectors(_task(model, texts, [1] * len(texts), threads=1)),
            "random_batches": _as_vectors(_task(model, texts, _random_sizes(len(texts)), threads=2)),
            **{f"partitions_{count}": _in_partitions(spark, model, texts, count) for count in PARTITIONS},
        }
        incremental = _full_and_incremental(spark, Path(scratch), model, arguments.rows)
        spark.stop()
    compared = [(reference[name], vectors[name]) for vectors in others.values() for name in reference]
    compared += [(incremental[0][key], incremental[1][key]) for key in incremental[0]]
    cosines = [float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) for a, b in compared]
    figures = {
        "benchmark": "batch_independence",
        "rows": len(texts),
        "listings": origin,
        "preset": arguments.preset,
        "instruction_set": instruction_set(),
        "ways": [*others, "full_against_incremental"],
        "vectors_compared": len(compared),
        "min_cosine": round(min(cosines), 7),
        "max_abs_diff": max(float(np.abs(a - b).max()) for a, b in compared),
        "vectors_differing": sum(a.tobytes() != b.tobytes() for a, b in compared),
    }
    print(json.dumps(figures))
    return 0


def _task(model: ModelBytes, texts: list[str], sizes: Iterable[int], threads: int) -> list[pa.RecordBatch]:
    """The engine's task over Arrow batches of these sizes."""
    encoder = Encoder(model, threads=threads)
    table = pa.table({"locale": ["US"] * len(texts), "item_id": [str(i) for i in range(len(texts))], "text": texts})
    batch = table.append_column("fingerprint", table.column("item_id")).combine_chunks().to_batches()[0]
    starts = np.cumsum([0, *sizes])
    slices = [batch.slice(start, end - start) for start, end in zip(starts[:-1], starts[1:], strict=True)]
    return list(encode_batches(iter(slices), encoder))


def _as_vectors(batches: list[pa.RecordBatch]) -> Vectors:
    rows = pa.Table.from_batches(batches).select(["item_id", "vector"]).to_pylist()
    return {row["item_id"]: np.asarray(row["vector"], np.float32) for row in rows}


def _random_sizes(rows: int) -> list[int]:
    cuts = np.sort(np.random.default_rng(5).choice(np.arange(1, rows), size=rows // 20, replace=False))
    return np.diff([0, *cuts, rows]).tolist()


def _in_partitions(spark: SparkSession, model: ModelBytes, texts: list[str], count: int) -> Vectors:
    frame = text_frame(spark, texts, count)
    broadcast = spark.sparkContext.broadcast(EngineModel(model=model, threads=2))
    found = embed_texts(frame, broadcast).select("item_id", "vector").toPandas()
    return {name: np.asarray(vector, np.float32) for name, vector in zip(found["item_id"], found["vector"], strict=True)}


def _full_and_incremental(spark: SparkSession, scratch: Path, model: ModelBytes, rows: int) -> tuple[dict, dict]:
    """All listings in one run, against a third of them first and the rest in a second run of small waves."""
    full, parts = Workspace(str(scratch / "full")), Workspace(str(scratch / "parts"))
    write_listings(spark, full, rows)
    embed(spark, full, model)
    listings = read_table(spark, full.table("listings"), made_by="this benchmark")
    create_table(spark, parts.table("listings"), LISTINGS)
    for chosen in (F.pmod(F.hash("item_id"), F.lit(3)) == 0, F.lit(True)):
        merge_rows(listings.where(chosen), parts.table("listings"), LISTINGS, update_when=None)
        embed(spark, parts, model, rows_per_wave=rows // 5)
    found = [read_vectors(workspace.table("embeddings"))[0] for workspace in (full, parts)]
    if found[0].keys() != found[1].keys():
        raise ValueError(f"{len(found[0].keys() ^ found[1].keys())} listings have a vector in one run only")
    return tuple({key: np.frombuffer(value, np.float32) for key, value in vectors.items()} for vectors in found)  # type: ignore[return-value]


if __name__ == "__main__":
    raise SystemExit(main())
