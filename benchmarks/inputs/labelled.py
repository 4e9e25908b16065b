"""A training set and label sets of the sample catalogue, written without Spark, for benchmarks of training alone."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from m5model.feeds.inspection import stream_listings
from m5model.feeds.sources import find_feed_files
from m5model.files.checksums import sha256_of
from m5model.labels.reading import ColumnMap
from m5model.labels.splitting import SplitPlan
from m5model.runtime.rendering import render
from m5model.sample_catalogue.catalogue import write_catalogue
from schemas.labels import LABEL_KINDS
from schemas.locales import LOCALES
from schemas.manifests import to_json
from schemas.space import sha256_hex
from schemas.training_set import COUNT_FIELDS, DATA_FOLDER, MANIFEST_FILE, TRAINING_ROWS, TrainingSetManifest
from schemas.workspace import Workspace
from spark.labels.import_labels import ImportSettings, Pinned, import_labels


def write_sets(workspace: Workspace, rows: int, seed: int = 0) -> None:
    """A training set ``sample`` and the label sets ``types`` (classes) and ``pairs``, of a sample catalogue of that size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_catalogue(folder, rows=rows, seed=seed)
        listings = {(row["locale"], row["item_id"]): row for row in _listings(folder / "feeds")}
        write_training_set(workspace, list(listings.values()))
        texts = {key: render(row) for key, row in listings.items()}
        types = _rows(folder, "categories")
        import_set(workspace, "types", "classes", (_type(row, texts) for row in types if _key(row) in texts))
        pairs = (row for row in _rows(folder, "duplicates") if {_key(row), _other(row)} <= texts.keys())
        import_set(workspace, "pairs", "pairs", (_pair(row, texts) for row in pairs))


def _listings(feeds: Path) -> Iterator[dict[str, Any]]:
    """Returns those of the JSON feeds that have a key and a title."""
    for file in sorted(feeds.glob("*.jsonl")):
        if file.stem == "damaged":
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row.get("title") and row.get("locale") in LOCALES:
                yield row


def _shaped(row: dict[str, Any]) -> dict[str, Any]:
    attributes = row.get("attributes") or {}
    return {
        **{name: row.get(name) for name in TRAINING_ROWS.column_names},
        "language": row.get("language") or LOCALES[row["locale"]].languages[0],
        "attributes": [{"name": name, "value": str(value)} for name, value in sorted(attributes.items())],
        "content_hash": sha256_hex(json.dumps(row, sort_keys=True).encode()),
        "copy": 0,
    }


def sample_pairs(folder: Path, rows: int, seed: int = 0) -> Iterator[tuple[str, str, str, bool]]:
    """Locale, the two texts, and whether they are one product, of a sample catalogue that is written into ``folder``."""
    write_catalogue(folder, rows=rows, seed=seed)
    files = find_feed_files([str(folder / "feeds")]).files
    records = (record for file in files if "damaged" not in file.path for record in stream_listings(file))
    texts = {(row["locale"], row["item_id"]): render(row) for row in records}
    for row in _rows(folder, "duplicates"):
        if {_key(row), _other(row)} <= texts.keys():
            yield row["locale"], texts[_key(row)], texts[_other(row)], bool(row["label"])


def write_training_set(workspace: Workspace, listings: list[dict[str, Any]]) -> None:
    """The training set ``sample`` of these listings, whose columns may be absent but for locale, item_id and title."""
    rows = [_shaped(row) for row in listings]
    folder = Path(workspace.training_set("sample", "v0"))
    (folder / DATA_FOLDER).mkdir(parents=True)
    file = folder / DATA_FOLDER / "part-0.parquet"
    pq.write_table(pa.Table.from_pylist(rows, TRAINING_ROWS.arrow_schema()), file)
    manifest = TrainingSetManifest(
        name="sample",
        version="v0",
        created_at="2026-01-01T00:00:00+00:00",
        source_table="none",
        source_version=0,
        filters=[],
        plan={},
        seed=0,
        rows=len(rows),
        content_hash=sha256_hex("".join(sorted(row["content_hash"] for row in rows)).encode()),
        token_unit="characters",
        files={f"{DATA_FOLDER}/{file.name}": sha256_of(file)},
        **{count: {} for count in COUNT_FIELDS},
    )
    (folder / MANIFEST_FILE).write_text(to_json(manifest), encoding="utf-8")


def _rows(folder: Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "labels" / f"{table}.parquet").to_pylist()
    return rows


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["locale"], row["item_id"]


def _other(row: dict[str, Any]) -> tuple[str, str]:
    return row["locale"], row["other_item_id"]


def _type(row: dict[str, Any], texts: dict[tuple[str, str], str]) -> dict[str, Any]:
    return {"text": texts[_key(row)], "scheme": "product_type", "label": row["product_type"]}


def _pair(row: dict[str, Any], texts: dict[tuple[str, str], str]) -> dict[str, Any]:
    return {"left_text": texts[_key(row)], "right_text": texts[_other(row)], "is_match": row["label"]}


def import_set(
    workspace: Workspace, name: str, kind: str, rows: Iterable[dict[str, Any]], plan: SplitPlan | None = None
) -> None:
    """Import a label set whose rows bring their texts."""
    settings = ImportSettings(
        name=name,
        kind=LABEL_KINDS[kind],
        columns=ColumnMap(kind=LABEL_KINDS[kind]),
        split=plan or SplitPlan(),
        source="benchmark",
        max_reject_share=0.5,
    )
    import_labels(workspace, settings, rows, lambda keys: Pinned())
