"""Estimates an embed run before it starts: rows, tokens, time and cost, from a sample of the pending texts."""

import time
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from m5model.runtime.encoder import Encoder, ModelBytes
from schemas.listing import LISTING_KEY
from schemas.report import JsonValue

# Texts with the smallest key hashes: the same ones every time. Enough for 3% on the mean length of real listings.
SAMPLE_TEXTS = 2_000
TIMED_SECONDS = 5.0
TIMED_TEXTS = 64


@dataclass(frozen=True, kw_only=True)
class EmbedPlan:
    """What a run would do. Estimates are for ``cores`` cores like the driver's."""

    rows: int
    repeats: int  # of these: rows whose text another one has; they get a copy of its vector
    waves: int
    tokens: int  # estimated
    seconds: float  # estimated, Spark's start and commits left out
    cores: int
    truncated_share: float

    def as_json(self, price_per_hour: float | None = None) -> dict[str, JsonValue]:
        """``price_per_hour``: of all executors together."""
        figures: dict[str, JsonValue] = {
            "rows": self.rows,
            "repeats": self.repeats,
            "waves": self.waves,
            "estimated_tokens": self.tokens,
            "estimated_seconds": round(self.seconds, 1),
            "estimated_truncated_share": round(self.truncated_share, 4),
            "cores": self.cores,
        }
        if price_per_hour is not None:
            figures["estimated_cost"] = round(self.seconds / 3_600 * price_per_hour, 4)
        return figures


def plan_embedding(pending: DataFrame, model: ModelBytes, *, rows: int, repeats: int, waves: int, cores: int) -> EmbedPlan:
    """Tokenise a sample of the texts to compute (``pending``) and encode some of it here, on one core."""
    hashed = pending.select("text").orderBy(F.xxhash64(*LISTING_KEY, F.lit("plan"))).limit(SAMPLE_TEXTS)
    texts = [row[0] for row in hashed.collect()]
    if not texts:
        return EmbedPlan(rows=rows, repeats=repeats, waves=0, tokens=0, seconds=0.0, cores=cores, truncated_share=0.0)
    encoder = Encoder(model)
    mean_tokens, truncated_share = encoder.measure_lengths(texts)
    tokens_per_s = _tokens_per_second(encoder, texts)
    tokens = round((rows - repeats) * mean_tokens)
    return EmbedPlan(
        rows=rows,
        repeats=repeats,
        waves=waves,
        tokens=tokens,
        seconds=tokens / tokens_per_s / cores,
        cores=cores,
        truncated_share=truncated_share,
    )


def _tokens_per_second(encoder: Encoder, texts: list[str]) -> float:
    """Of one core, over about TIMED_SECONDS."""
    encoder.encode_texts(texts[:2])  # first calls allocate
    tokens, started = 0, time.perf_counter()
    for start in range(0, len(texts), TIMED_TEXTS):
        tokens += int(encoder.encode_texts(texts[start : start + TIMED_TEXTS]).token_counts.sum())
        if time.perf_counter() - started > TIMED_SECONDS:
            break
    return tokens / (time.perf_counter() - started)
