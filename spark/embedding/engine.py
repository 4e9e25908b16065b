"""Turns Arrow batches of texts into Arrow batches of vectors, inside a Python worker of an executor.

Each executor runs one Python worker (``spark.task.cpus`` is the executor's cores) with one session, and a thread per core.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import Broadcast, SparkConf
from pyspark.sql import DataFrame

from m5model.runtime.encoder import Encoded, Encoder, ModelBytes
from m5model.runtime.instruction_set import instruction_set
from spark.setup.parallelism import executor_cores

# A row has either a vector or a failure: "REASON: what the model said".
EMBEDDED_COLUMNS = (
    "locale string, item_id string, fingerprint string, vector array<float>, characters int, tokens int, computed_tokens int, "
    "truncated boolean, failure string, instruction_set string"
)

# Rows whose lengths are matched together: more leaves fewer half-filled calls; 8,192 x 768 x 4 B is 25 MB of vectors.
ARROW_ROWS = 8_192


@dataclass(frozen=True, kw_only=True)
class EngineModel:
    """A model, and how many threads of an executor use it. It is broadcast."""

    model: ModelBytes
    threads: int


def engine_settings(conf: SparkConf) -> Mapping[str, str]:
    """Spark settings of an embedding application: one task, hence one Python worker and one model, per executor."""
    cores = executor_cores(conf)
    settings = {"spark.sql.execution.arrow.maxRecordsPerBatch": str(ARROW_ROWS)}
    return settings if cores is None else {**settings, "spark.task.cpus": str(cores)}


def embed_texts(texts: DataFrame, model: Broadcast) -> DataFrame:
    """Rows of (locale, item_id, fingerprint, text) → EMBEDDED_COLUMNS. ``model`` holds an EngineModel."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return encode_batches(batches, worker_encoder(model.value))

    return texts.select("locale", "item_id", "fingerprint", "text").mapInArrow(run, EMBEDDED_COLUMNS)


def encode_batches(batches: Iterator[pa.RecordBatch], encoder: Encoder) -> Iterator[pa.RecordBatch]:
    """Encode the texts of each batch: the body of the task, without Spark."""
    family = instruction_set()
    waiting: deque[pa.RecordBatch] = deque()

    def read_texts() -> Iterator[list[str]]:
        for batch in batches:
            if batch.num_rows:
                waiting.append(batch)
                yield batch.column("text").to_pylist()

    for encoded in encoder.encode_stream(read_texts()):
        batch = waiting.popleft()
        columns = {name: batch.column(name) for name in ("locale", "item_id", "fingerprint")} | {
            "vector": vectors_to_arrow(encoded),
            "characters": pc.utf8_length(batch.column("text")),
            "tokens": pa.array(encoded.token_counts, pa.int32()),
            "computed_tokens": pa.array(encoded.computed_tokens, pa.int32()),
            "truncated": pa.array(encoded.truncated),
            "failure": pa.array([encoded.failures.get(row) for row in range(batch.num_rows)], pa.string())
            if encoded.failures
            else pa.nulls(batch.num_rows, pa.string()),
            "instruction_set": pa.repeat(family, batch.num_rows),
        }
        yield pa.RecordBatch.from_pydict(columns)


def vectors_to_arrow(encoded: Encoded) -> pa.ListArray:
    """float32 (B, D) → list<float> of B rows, null where the model failed, without a copy of the values."""
    rows, dimensions = encoded.vectors_BD.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * dimensions)
    failed = np.zeros(rows, bool)
    failed[list(encoded.failures)] = True
    return pa.ListArray.from_arrays(offsets, pa.array(encoded.vectors_BD.ravel()), mask=pa.array(failed))


_encoders: dict[tuple[str, int], Encoder] = {}


def worker_encoder(model: EngineModel) -> Encoder:
    """The encoder of this worker: made once per process, after the fork, and kept for all its tasks."""
    key = (model.model.space_id, model.threads)
    if key not in _encoders:
        _encoders.clear()  # never hold two models
        _encoders[key] = Encoder(model.model, threads=model.threads)
    return _encoders[key]
