"""Runs of the engine for benchmarks, and their vectors as bytes."""

import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from m5model.runtime.encoder import ModelBytes
from schemas.workspace import Workspace
from spark.embedding.embed import EmbedResult, EmbedSettings, embed_catalog
from spark.setup.parallelism import executor_cores


def embed(spark: SparkSession, workspace: Workspace, model: ModelBytes, rows_per_wave: int | None = None) -> EmbedResult:
    """One run, accounted for."""
    threads = executor_cores(spark.sparkContext.getConf()) or 1
    result = embed_catalog(spark, workspace, model, EmbedSettings(threads=threads, rows_per_wave=rows_per_wave))
    result.accounting.verify("embed_catalog")
    return result


def read_vectors(path: str) -> tuple[dict[tuple[str, str], bytes], int]:
    """float32 bytes by (locale, item_id), and how many rows hold a key that another holds, too."""
    table = DeltaTable(path).to_pyarrow_table(columns=["locale", "item_id", "vector"])
    vectors = table.column("vector").combine_chunks()
    width = pc.list_value_length(vectors)[0].as_py()
    values = vectors.flatten().to_numpy().reshape(-1, width)
    keys = zip(table.column("locale").to_pylist(), table.column("item_id").to_pylist(), strict=True)
    found = {key: row.tobytes() for key, row in zip(keys, values, strict=True)}
    return found, table.num_rows - len(found)
