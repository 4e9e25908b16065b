"""The calibrated probability that a pair is one product, by the model of a finished experiment, computed by the executors."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from m5model.partners.pair_scorer import PairScorer, ScorerBytes, read_scorer
from m5model.partners.registry import find_partner
from m5model.runtime.rendering import DEFAULT_RENDERING
from schemas.partner import Partner
from schemas.tables import TEXT
from schemas.workspace import Workspace
from spark.rendering import render_listings
from spark.vectors.columns import vectors_from_arrow

# Columns of listings that a pair is judged by, beside its vectors.
READS = tuple(DEFAULT_RENDERING.fields)
KEY = ["locale", "item_id", "other_item_id"]
PAIRS_AT_ONCE = 2_048


def add_probability(pairs: DataFrame, catalogue: DataFrame, workspace: Workspace, experiment: str, space_id: str) -> DataFrame:
    """The pairs with ``probability`` (double). Raises SpaceMismatchError where the model reads another space."""
    model = read_scorer(workspace, "duplicates", experiment, space_id)
    partner = find_partner(model.partner)
    names = _side_names(partner)
    sides = _describe(catalogue, partner, names)
    left, right = (_side(sides, side, names) for side in ("left", "right"))
    described = pairs.join(left, ["locale", "item_id"]).join(right, ["locale", "other_item_id"])
    judged = described.select(*KEY, *_columns(names)).mapInArrow(
        _scoring(pairs.sparkSession.sparkContext.broadcast(model), names),
        ", ".join(f"{name} string" for name in KEY) + ", probability double",
    )
    return pairs.join(judged, KEY)


def _scoring(model: Broadcast, names: Sequence[str]) -> Any:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, PAIRS_AT_ONCE):
                yield score_batch(batch.slice(start, PAIRS_AT_ONCE), worker_scorer(model.value), names)

    return run


def score_batch(batch: pa.RecordBatch, scorer: PairScorer, names: Sequence[str]) -> pa.RecordBatch:
    """The keys of the batch's pairs and their probability: the body of the task, without Spark."""
    columns = {name: batch.column(name).to_pylist() for name in _columns(names) if not name.endswith("_vector")}
    left_PD, right_PD = (vectors_from_arrow(batch.column(f"{side}_vector")) for side in ("left", "right"))
    probability = scorer.probabilities(columns, left_PD, right_PD)
    keys = {name: batch.column(name) for name in KEY}
    return pa.RecordBatch.from_pydict({**keys, "probability": pa.array(probability, pa.float64())})


_scorers: dict[str, PairScorer] = {}


def worker_scorer(model: ScorerBytes) -> PairScorer:
    """The scorer of this worker: made once per process and kept for all its tasks."""
    if model.experiment not in _scorers:
        _scorers.clear()
        _scorers[model.experiment] = PairScorer(model)
    return _scorers[model.experiment]


def _side_names(partner: Partner) -> list[str]:
    return [column.name.removeprefix("left_") for column in partner.evidence if column.name.startswith("left_")]


def _columns(names: Sequence[str]) -> list[str]:
    return [f"{side}_{name}" for side in ("left", "right") for name in ("text", "vector", *names)]


def _describe(catalogue: DataFrame, partner: Partner, names: Sequence[str]) -> DataFrame:
    """Every listing's key, text, vector, and evidence: a field of the listing, or an attribute of that name."""
    types = {column.name: column.type for column in partner.evidence}
    evidence = [_evidence(name, is_text=types[f"left_{name}"] == TEXT).alias(f"its_{name}") for name in names]
    rendered = render_listings(catalogue, DEFAULT_RENDERING)
    return rendered.select("locale", "item_id", "text", "vector", *evidence)


def _evidence(name: str, *, is_text: bool) -> Column:
    found = F.col(name) if name in READS else F.element_at("attributes", name)
    return found if is_text else found.try_cast("double")


def _side(sides: DataFrame, side: str, names: Sequence[str]) -> DataFrame:
    item = F.col("item_id").alias("item_id" if side == "left" else "other_item_id")
    renamed = [F.col("text").alias(f"{side}_text"), F.col("vector").alias(f"{side}_vector")]
    return sides.select("locale", item, *renamed, *(F.col(f"its_{name}").alias(f"{side}_{name}") for name in names))
