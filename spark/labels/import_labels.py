"""One import: the rows of a feed become a version of a label set. Spark is only needed where keys name listings."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa

from m5model.labels.entities import ENTITY_MISSING, fill_entities
from m5model.labels.identity import claim_of, identity_of
from m5model.labels.judging import CONTRADICTORY, UNKNOWN_LISTING, judge
from m5model.labels.reading import ColumnMap, Row
from m5model.labels.splitting import SplitPlan, assign_splits, count_novelty, entities_by_split, latest
from schemas.checks import is_number, require, require_name
from schemas.errors import BadDataError
from schemas.labels import PINNED_LISTINGS, SPLIT, SPLITS, LabelKind, LabelSetManifest
from schemas.report import DEFAULT_MAX_REJECT_SHARE, Accounting
from schemas.workspace import Workspace
from spark.labels.versions import VERSION_DIGITS, hash_content, write_label_set

log = logging.getLogger(__name__)

Key = tuple[str, str]  # locale, item id

DUPLICATE = "duplicate"


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """Holds what is imported."""

    name: str
    kind: LabelKind
    columns: ColumnMap
    split: SplitPlan = field(default_factory=SplitPlan)
    source: str = ""  # where the rows are from, for people
    max_reject_share: float = DEFAULT_MAX_REJECT_SHARE

    def __post_init__(self) -> None:
        require_name("label set", self.name)
        share = f"max_reject_share is {self.max_reject_share!r}, expected 0 to 1"
        require("import", {share: is_number(self.max_reject_share, 0, 1)})


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """The listings that keys name, at a version of the table."""

    version: int | None = None
    listings: pa.Table = field(default_factory=lambda: pa.Table.from_pylist([], PINNED_LISTINGS.arrow_schema()))


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """The version, and whether it had to be written."""

    manifest: LabelSetManifest
    is_new: bool
    accounting: Accounting


class _Tally:
    """Counts rows and the reasons of those that are rejected. A row can have several reasons and is counted once."""

    def __init__(self) -> None:
        self.rows_in = self.rejected = self.duplicates = 0
        self.reasons: Counter[str] = Counter()

    def reject(self, reasons: Iterable[str], rows: int = 1) -> None:
        self.rejected += rows
        for reason in reasons:
            self.reasons[reason] += rows


def import_labels(
    workspace: Workspace,
    settings: ImportSettings,
    feed: Iterable[Row | None],
    pin: Callable[[list[Key]], Pinned],
) -> ImportResult:
    """Judge, de-duplicate, split and pin the rows of ``feed``. The same rows give the same version, which is written once.

    ``pin`` finds listings by their keys; it is not called where no row has one. Raises BadDataError where more rows are
    rejected than allowed, or none is left.
    """
    tally = _Tally()
    rows = _judge(feed, settings, tally)
    rows, pinned = _resolve(rows, settings.kind, pin, tally)
    rows = _drop(rows, fill_entities(rows, settings.kind), ENTITY_MISSING, tally)
    assign_splits(rows, settings.kind, settings.split)
    rows = _deduplicate(rows, settings.kind, tally)
    _refuse_bad_feed(settings, rows, tally)
    manifest, is_new = write_label_set(
        workspace, settings.kind, _manifest(settings, rows, pinned, tally), rows, pinned.listings
    )
    if not is_new:
        log.info("label set %s/%s exists already", manifest.name, manifest.version)
    accounting = Accounting(
        rows_in=tally.rows_in,
        written=len(rows),
        left_out={DUPLICATE: tally.duplicates} if tally.duplicates else {},
        rejected=tally.rejected,
        rejected_reasons=dict(sorted(tally.reasons.items())),
    )
    return ImportResult(manifest=manifest, is_new=is_new, accounting=accounting)


def _judge(feed: Iterable[Row | None], settings: ImportSettings, tally: _Tally) -> list[Row]:
    rows = []
    for raw in feed:
        tally.rows_in += 1
        mapped = None if raw is None else settings.columns.apply(raw)
        row, faults = judge(mapped, settings.kind, keep_splits=settings.split.keep)
        if faults:
            tally.reject(faults)
        else:
            rows.append(row)
    return rows


def _resolve(rows: list[Row], kind: LabelKind, pin: Callable[[list[Key]], Pinned], tally: _Tally) -> tuple[list[Row], Pinned]:
    """The rows whose listings all exist, and the listings that these name."""
    keys = sorted({key for row in rows for key in _keys(row, kind)})
    if not keys:
        return rows, Pinned()
    pinned = pin(keys)
    found = set(zip(*(pinned.listings.column(name).to_pylist() for name in ("locale", "item_id")), strict=True))
    unknown = [place for place, row in enumerate(rows) if not found.issuperset(_keys(row, kind))]
    known = _drop(rows, unknown, UNKNOWN_LISTING, tally)
    named = {key for row in known for key in _keys(row, kind)}
    is_named = [(row["locale"], row["item_id"]) in named for row in pinned.listings.select(["locale", "item_id"]).to_pylist()]
    return known, Pinned(version=pinned.version, listings=pinned.listings.filter(pa.array(is_named, pa.bool_())))


def _keys(row: Row, kind: LabelKind) -> list[Key]:
    return [(row[f"{side}locale"], row[f"{side}item_id"]) for side in kind.sides if row[f"{side}text"] is None]


def _drop(rows: list[Row], places: list[int], reason: str, tally: _Tally) -> list[Row]:
    tally.reject([reason] if places else [], len(places))
    dropped = set(places)
    return [row for place, row in enumerate(rows) if place not in dropped]


def _deduplicate(rows: list[Row], kind: LabelKind, tally: _Tally) -> list[Row]:
    """One row of each key. Rows that say different things about one key are all rejected: none of them can be trusted.

    A key that lies in two splits stays in the later one, so that no row to learn from is in another split as well.
    """
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(identity_of(row, kind), []).append(row)
    kept = []
    for group in groups.values():
        if len({claim_of(row, kind) for row in group}) > 1:
            tally.reject([CONTRADICTORY], len(group))
            continue
        split = latest([row[SPLIT.name] for row in group])
        smallest = min((row for row in group if row[SPLIT.name] == split), key=lambda row: repr(sorted(row.items(), key=str)))
        kept.append(smallest)
        tally.duplicates += len(group) - 1
    return kept


def _refuse_bad_feed(settings: ImportSettings, rows: list[Row], tally: _Tally) -> None:
    reasons = ", ".join(f"{name} {count:,}" for name, count in tally.reasons.most_common())
    if tally.rows_in and tally.rejected > settings.max_reject_share * tally.rows_in:
        raise BadDataError(
            f"{tally.rejected:,} of {tally.rows_in:,} rows are rejected, more than {settings.max_reject_share:.1%}: {reasons}",
            next_step="correct the feed or --map, or allow more with --max-reject-share; nothing was written",
        )
    if not rows:
        raise BadDataError(
            f"no row of {tally.rows_in:,} is left for the label set {settings.name}", next_step="give a feed that has rows"
        )


def _manifest(settings: ImportSettings, rows: list[Row], pinned: Pinned, tally: _Tally) -> LabelSetManifest:
    content_hash = hash_content(rows, pinned.listings)
    counts = Counter(row[SPLIT.name] for row in rows)
    return LabelSetManifest(
        name=settings.name,
        version=content_hash[:VERSION_DIGITS],
        kind=settings.kind.name,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        source=settings.source,
        listings_version=pinned.version,
        seed=settings.split.seed,
        shares={} if settings.split.keep else dict(settings.split.shares),
        rows=len(rows),
        rows_by_split={split: counts[split] for split in SPLITS},
        entities_by_split=entities_by_split(rows, settings.kind),
        rejected=dict(sorted(tally.reasons.items())),
        content_hash=content_hash,
        files={},
        listings=pinned.listings.num_rows,
        duplicates=tally.duplicates,
        novelty=count_novelty(rows, settings.kind),
    )
