"""Gathers the facts of the catalogue's report: counts of whole tables, lengths of a sample chosen by hash of the key."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F

from m5model.bundles.find import list_bundles, read_manifest
from m5model.data.set_versions import list_training_sets
from m5model.reports.catalogue.facts import Balance, CatalogueFacts, Example, Lengths, RejectExample
from schemas.listing import LISTING_KEY, LISTINGS
from schemas.reject import LISTING_REJECTS
from schemas.workspace import Workspace
from spark.delta.log import require_table
from spark.delta.tables import count_by, read_table, table_exists
from spark.sampling.tokens import add_tokens

MADE_BY = "jobs/ingest_catalog.py --feed FEED"
SAMPLE_PER_LANGUAGE = 10_000
TITLES_PER_LANGUAGE = 3
REJECTS_SHOWN = 12
RAW_CHARACTERS = 300
BINS = 32


def gather_facts(spark: SparkSession, workspace: Workspace, training_set: str | None = None) -> CatalogueFacts:
    """Facts of the listings as they are now. Raises ConfigurationError where there is no such table.

    ``training_set``: path of the version whose balance is shown; the newest otherwise, if there is one.
    """
    path = workspace.table(LISTINGS.name)
    version = require_table(path, made_by=MADE_BY).version
    listings = read_table(spark, path, made_by=MADE_BY, version=version)
    by_locale: dict[str, dict[str, int]] = {}
    for row in listings.groupBy("locale", "language").count().orderBy("locale", "language").collect():
        by_locale.setdefault(row["locale"], {})[row["language"]] = row["count"]
    students = [bundle for bundle in list_bundles(workspace) if bundle.kind == "student"]
    vocabulary = workspace.bundle(students[-1].id) if students else None
    max_tokens = read_manifest(vocabulary).max_tokens if vocabulary else None
    sample, unit = add_tokens(_sample(listings), vocabulary)
    edges, lengths = _lengths(sample, max_tokens)
    rejects = _rejects(spark, workspace)
    return CatalogueFacts(
        workspace=workspace.root,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        listings_version=version,
        rows=sum(sum(languages.values()) for languages in by_locale.values()),
        rows_by_locale=by_locale,
        language_sources=count_by(listings, "language_source"),
        warnings=_count_names(listings, "warnings"),
        repairs=_count_names(listings, "repairs"),
        rejects=_count_names(rejects, "reasons") if rejects is not None else {},
        rejected_records=rejects.count() if rejects is not None else 0,
        unit=unit,
        max_tokens=max_tokens,
        histogram_edges=edges,
        lengths=lengths,
        examples=_titles(listings),
        reject_examples=_reject_examples(rejects) if rejects is not None else [],
        balance=_balance(workspace, training_set),
    )


def _sample(listings: DataFrame) -> DataFrame:
    """At most SAMPLE_PER_LANGUAGE listings a language: the same ones on any cluster."""
    counts = count_by(listings, "language")
    wanted = F.lit(0.0)
    for language, rows in counts.items():
        wanted = F.when(F.col("language") == language, min(1.0, SAMPLE_PER_LANGUAGE / rows)).otherwise(wanted)
    place = F.pmod(F.xxhash64(*LISTING_KEY), F.lit(1_000_000)) / 1_000_000
    return listings.where(place < wanted)


def _lengths(sample: DataFrame, max_tokens: int | None) -> tuple[list[int], list[Lengths]]:
    """Edges of the histogram (to the 99th percentile of all), and each language's lengths."""
    measured = sample.select("language", "tokens", _characters().alias("characters"))
    frame: pd.DataFrame = measured.toPandas()
    top = int(np.quantile(frame["tokens"], 0.99)) if len(frame) else 1
    edges = [int(edge) for edge in np.linspace(0, max(top, BINS), BINS)]
    return edges, [_lengths_of(str(language), rows, edges, max_tokens) for language, rows in frame.groupby("language")]


def _characters() -> Column:
    return F.length(F.concat_ws(" ", "title", "bullets", "description", "brand", F.map_values("attributes")))


def _lengths_of(language: str, rows: pd.DataFrame, edges: list[int], max_tokens: int | None) -> Lengths:
    tokens = rows["tokens"].to_numpy()
    counts, _ = np.histogram(tokens, bins=[*edges, max(int(tokens.max()), edges[-1]) + 1])
    return Lengths(
        language=language,
        listings=len(tokens),
        characters=float(rows["characters"].mean()),
        mean=float(tokens.mean()),
        median=int(np.median(tokens)),
        p95=int(np.quantile(tokens, 0.95)),
        longest=int(tokens.max()),
        truncated_share=float((tokens > max_tokens).mean()) if max_tokens else 0.0,
        histogram=[int(count) for count in counts],
    )


def _count_names(rows: DataFrame, column: str) -> dict[str, int]:
    """Rows by name in an array of names, most frequent first."""
    named = rows.select(F.explode(column).alias("name")).groupBy("name").count()
    return {row["name"]: row["count"] for row in named.orderBy(F.desc("count"), "name").collect()}


def _titles(listings: DataFrame) -> list[Example]:
    by_hash = Window.partitionBy("language").orderBy(F.xxhash64(*LISTING_KEY))
    some = listings.where(F.pmod(F.xxhash64(*LISTING_KEY), F.lit(97)) == 0).withColumn("place", F.row_number().over(by_hash))
    rows = some.where(F.col("place") <= TITLES_PER_LANGUAGE).orderBy("language", "place")
    return [
        Example(locale=row["locale"], language=row["language"], item_id=row["item_id"], title=row["title"])
        for row in rows.select("locale", "language", "item_id", "title").collect()
    ]


def _rejects(spark: SparkSession, workspace: Workspace) -> DataFrame | None:
    path = workspace.table(LISTING_REJECTS.name)
    return read_table(spark, path, made_by=MADE_BY) if table_exists(spark, path) else None


def _reject_examples(rejects: DataFrame) -> list[RejectExample]:
    """One of each combination of reasons."""
    by_id = Window.partitionBy("reasons").orderBy("reject_id")
    first = rejects.withColumn("place", F.row_number().over(by_id)).where("place = 1").orderBy("reasons").limit(REJECTS_SHOWN)
    return list(
        _shown(first.select("reasons", "detail", F.substring("raw", 1, 4 * RAW_CHARACTERS).alias("raw"), "occurrences"))
    )


def _shown(rows: DataFrame) -> Iterator[RejectExample]:
    row: Row
    for row in rows.collect():
        raw = bytes(row["raw"]).decode("utf-8", errors="replace")
        shown = raw if len(raw) <= RAW_CHARACTERS else raw[:RAW_CHARACTERS] + "…"
        yield RejectExample(
            reasons=list(row["reasons"]), detail=row["detail"] or "", raw=shown, occurrences=row["occurrences"] or 1
        )


def _balance(workspace: Workspace, training_set: str | None) -> Balance | None:
    sets = list_training_sets(workspace)
    if training_set is not None:
        sets = [manifest for manifest in sets if workspace.training_set(manifest.name, manifest.version) == training_set]
    if not sets:
        return None
    newest = sets[-1]
    return Balance(
        name=f"{newest.name}/{newest.version}",
        plan=dict(newest.plan),  # type: ignore[arg-type]
        available=newest.available_rows_by_language,
        rows=newest.rows_by_language,
        tokens=newest.tokens_by_language,
        token_unit=newest.token_unit,
        duplicates=newest.duplicates_by_locale,
    )
