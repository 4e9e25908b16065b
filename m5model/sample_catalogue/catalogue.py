"""Writes the whole sample catalogue: feeds, labels, and a manifest that says what is in them."""

import hashlib
import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle
from pathlib import Path

from m5model.sample_catalogue.damage import REPAIRABLE_SHARE, damage_repairably, stream_damaged
from m5model.sample_catalogue.feeds import FeedWriter
from m5model.sample_catalogue.items import Offer, generator, stream_offers
from m5model.sample_catalogue.labels import LabelMaker
from m5model.sample_catalogue.tables import LABELS, ParquetStream
from m5model.sample_catalogue.wording import FIRST_DAY, Record, word_offer
from schemas.errors import ConfigurationError
from schemas.report import JsonValue

SUPERSEDED_SHARE = 0.01


@dataclass(kw_only=True)
class CatalogueManifest:
    """What ``manifest.json`` holds: what ingest has to find."""

    seed: int
    rows: int  # listings: what is left after ingest
    records: int = 0  # records in the feeds
    rows_by_locale: Counter[str] = field(default_factory=Counter)
    rows_by_language: Counter[str] = field(default_factory=Counter)
    rejects_by_reason: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)  # titles damaged in a way that ingest repairs
    superseded: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    files: dict[str, str] = field(default_factory=dict)  # path → SHA-256

    def as_json(self) -> dict[str, JsonValue]:
        return {name: dict(sorted(value.items())) if isinstance(value, dict) else value for name, value in vars(self).items()}


def write_catalogue(folder: Path, *, rows: int, seed: int = 0, damaged_share: float = 0.02) -> CatalogueManifest:
    """Write ``feeds/``, ``labels/`` and ``manifest.json`` into ``folder``.

    ``rows`` sound or repairable listings, and ``damaged_share`` of that many damaged records beside them.
    """
    if rows < 1 or not 0 <= damaged_share < 1:
        raise ConfigurationError(f"rows is {rows}, expected at least 1; damaged share is {damaged_share}, expected 0 to 1")
    manifest = CatalogueManifest(seed=seed, rows=rows)
    labels = LabelMaker(seed)
    samples: list[Record] = []
    with ExitStack() as stack:
        feeds = stack.enter_context(FeedWriter(folder / "feeds"))
        tables = {
            name: stack.enter_context(ParquetStream(folder / "labels" / f"{name}.parquet", schema))
            for name, schema in LABELS.items()
        }
        for offer in stream_offers(rows, seed):
            record = word_offer(offer, seed)
            if len(samples) < 100:
                samples.append(record)
            for table, row in labels.label(offer, record):
                tables[table].append(row)
                manifest.labels[table] += 1
            _write_offer(offer, record, seed, feeds, tables["repairs"], manifest)
        for reason, line in stream_damaged(cycle(samples), round(rows * damaged_share)):
            feeds.write_raw(line)
            manifest.rejects_by_reason[reason] += 1
    manifest.records = rows + manifest.superseded + sum(manifest.rejects_by_reason.values())
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".jsonl", ".csv", ".parquet"))
    manifest.files = {path.relative_to(folder).as_posix(): _sha256(path) for path in files}
    (folder / "manifest.json").write_text(json.dumps(manifest.as_json(), indent=2) + "\n", encoding="utf-8")
    return manifest


def _write_offer(
    offer: Offer, record: Record, seed: int, feeds: FeedWriter, repairs: ParquetStream, manifest: CatalogueManifest
) -> None:
    """Returns the record as the feed has it: a few need a repair, a few follow an older version of themselves."""
    manifest.rows_by_locale[offer.locale] += 1
    manifest.rows_by_language[offer.language] += 1
    draw = generator(seed, "feed", offer.number)
    if draw.random() < SUPERSEDED_SHARE:
        older = (FIRST_DAY - timedelta(days=draw.randint(1, 300))).strftime("%Y-%m-%dT%H:%M:%SZ")
        feeds.write({**record, "updated_at": older})
        manifest.superseded += 1
    damaged = damage_repairably(record, draw) if draw.random() < REPAIRABLE_SHARE else None
    if damaged is not None:
        repair, record_as_fed = damaged
        manifest.repairs[repair] += 1
        repairs.append({"locale": offer.locale, "item_id": offer.item_id, "repair": repair, "sound_title": record["title"]})
        feeds.write(record_as_fed)
    else:
        feeds.write(record)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
