"""Checks a partner's rows: every fault of a file at once, named by row, before a model or a vector is touched."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from m5model.labels.identity import claim_of, identity_of
from m5model.labels.judging import WrongTypeError, coerce, judge
from m5model.labels.reading import EXTRA_CELLS, Row
from m5model.labels.splitting import learned_entities, novelty_of
from schemas.errors import BadDataError
from schemas.labels import SPLIT, SPLITS, LabelKind
from schemas.partner import LANGUAGE, Partner
from schemas.tables import TEXT

log = logging.getLogger(__name__)

SHOWN_FAULTS = 25
# Text, language and entities name things; they are no outcome that could be the same in all rows.
ONE_OUTCOME_KINDS = ("pairs", "classes", "attributes", "relevance", "clicks")

Prepare = Callable[[list[Row], bool], Iterable[tuple[int, str]]]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Rows that can be used, in the order of the file, and all faults of those that cannot."""

    rows: list[Row]
    faults: tuple[str, ...]


def refuse(faults: Sequence[str], where: str) -> None:
    """Raise BadDataError with all faults, the first of them in words, unless there is none."""
    if not faults:
        return
    more = len(faults) - SHOWN_FAULTS
    listed = "".join(f"\n  - {fault}" for fault in faults[:SHOWN_FAULTS]) + (f"\n  - and {more:,} more" if more > 0 else "")
    raise BadDataError(
        f"{where} has {len(faults):,} fault{'s' if len(faults) > 1 else ''}:{listed}",
        next_step="correct them all, then run the same command again; nothing was trained",
    )


def check_rows(
    raw: Sequence[Row | None], partner: Partner, *, judged: bool, allow_seen: bool, prepare: Prepare | None = None
) -> Checked:
    """Judge rows (unless they were ``judged`` before), ``prepare`` them, and look for leaks, contradictions and empty splits.

    Rows are counted from 1. ``allow_seen`` lets test rows be about entities that are learned from.
    """
    faults = [] if judged else list(_column_faults(raw, partner))
    numbers, rows = [], []
    has_splits = judged or any(row and row.get(SPLIT.name) is not None for row in raw)
    for number, row in enumerate(raw, 1):
        good, found = (row, []) if judged and row is not None else _judge(row, partner, has_splits)
        faults += [f"row {number}: {fault}" for fault in found]
        if not found:
            numbers.append(number)
            rows.append(good)
    if prepare is not None:
        bad = list(prepare(rows, has_splits))
        faults += [f"row {numbers[place]}: {fault}" for place, fault in bad]
        dropped = {place for place, _ in bad}
        numbers = [number for place, number in enumerate(numbers) if place not in dropped]
        rows = [row for place, row in enumerate(rows) if place not in dropped]
    faults += list(_repeat_faults(rows, numbers, partner.labels))
    rows, numbers = _without_repeats(rows, numbers, partner.labels)
    faults += [] if allow_seen else list(_seen_faults(rows, numbers, partner.labels))
    faults += list(_split_faults(rows, partner.labels))
    return Checked(rows=rows, faults=tuple(faults))


def _column_faults(raw: Sequence[Row | None], partner: Partner) -> Iterator[str]:
    """Columns that the file lacks, or that nobody knows: a name with a slip would be left out without a word."""
    found = {name for row in raw if row is not None for name in row} - {EXTRA_CELLS}
    needed = [column.name for column in partner.evidence if not column.nullable]
    needed += [name for name in _required(partner.labels) if name not in needed]
    for side in partner.labels.sides:
        if f"{side}text" not in found and not {f"{side}locale", f"{side}item_id"} <= found:
            yield f"columns {side}text, or {side}locale and {side}item_id, are missing"
    for name in needed:
        if name not in found:
            yield f"column {name} is missing"
    for name in sorted(found - {*partner.column_names}):
        yield f"column {name} is unknown; there are {', '.join(partner.column_names)}"


def _required(kind: LabelKind) -> list[str]:
    filled_later = {*kind.entities, SPLIT.name}
    return [column.name for column in kind.table.columns if not column.nullable and column.name not in filled_later]


def _judge(row: Row | None, partner: Partner, has_splits: bool) -> tuple[Row, list[str]]:
    values, names = judge(row, partner.labels, keep_splits=has_splits)
    faults = [_in_words(name, row) for name in names]
    if row is None:
        return values, faults
    language = row.get(LANGUAGE)
    values[LANGUAGE] = language if isinstance(language, str) and language else None
    for column in partner.evidence:
        try:
            values[column.name] = coerce(row.get(column.name), column)
        except WrongTypeError:
            kind = "text" if column.type == TEXT else str(column.type)
            faults.append(f"{column.name} is {row.get(column.name)!r}, expected {kind}")
        else:
            if values[column.name] is None and not column.nullable and column.name in row:
                faults.append(f"{column.name} is empty")
    return values, faults


def _in_words(fault: str, row: Row | None) -> str:
    """A reason of judging with the value that it is about, where it is about one."""
    for ending in ("_wrong_type", "_out_of_range", "_missing", "_below_one"):
        name = fault.removesuffix(ending)
        if name != fault and row is not None and name in row:
            return f"{name} is {row[name]!r}: {fault.removeprefix(name).strip('_').replace('_', ' ')}"
    return fault.replace("_", " ")


def _repeat_faults(rows: Sequence[Row], numbers: Sequence[int], kind: LabelKind) -> Iterator[str]:
    """Rows about one thing that say different things, or that lie in two splits: both orders of a pair are one thing."""
    first: dict[tuple[object, ...], int] = {}
    for place, row in enumerate(rows):
        earlier = first.setdefault(identity_of(row, kind), place)
        if earlier == place:
            continue
        if claim_of(row, kind) != claim_of(rows[earlier], kind):
            yield f"row {numbers[place]}: it contradicts row {numbers[earlier]}, which is about the same"
        if row[SPLIT.name] != rows[earlier][SPLIT.name]:
            yield (
                f"row {numbers[place]}: split {row[SPLIT.name]}, and the same row is in split {rows[earlier][SPLIT.name]} "
                f"(row {numbers[earlier]})"
            )


def _without_repeats(rows: list[Row], numbers: list[int], kind: LabelKind) -> tuple[list[Row], list[int]]:
    """The first of rows that say the same about the same: a row that a file has twice would count twice."""
    first = {
        (identity_of(row, kind), claim_of(row, kind), row[SPLIT.name]): place for place, row in reversed([*enumerate(rows)])
    }
    kept = sorted(first.values())
    if len(kept) < len(rows):
        log.info("%d rows repeat others and are left out", len(rows) - len(kept))
    return [rows[place] for place in kept], [numbers[place] for place in kept]


def _seen_faults(rows: Sequence[Row], numbers: Sequence[int], kind: LabelKind) -> Iterator[str]:
    """Rows to be judged on, all of whose entities are learned from."""
    learned = learned_entities(list(rows), kind)
    first: dict[str, int] = {}
    for number, row in zip(numbers, rows, strict=True):
        if row[SPLIT.name] == SPLITS[0]:
            for name in kind.entities:
                first.setdefault(row[name], number)
    for number, row in zip(numbers, rows, strict=True):
        if row[SPLIT.name] != SPLITS[0] and novelty_of(row, kind, learned) == "seen":
            where = ", ".join(f"{row[name]} (row {first[row[name]]})" for name in kind.entities)
            yield f"row {number}: split {row[SPLIT.name]}, but its entities are learned from: {where}; see --allow-seen"


def _split_faults(rows: Sequence[Row], kind: LabelKind) -> Iterator[str]:
    outcomes: dict[str, set[str]] = {split: set() for split in SPLITS}
    for row in rows:
        outcomes[row[SPLIT.name]].add(", ".join(f"{name} {row[name]}" for name in kind.targets))
    for split, found in outcomes.items():
        if not found:
            yield f"split {split} has no row"
        elif len(found) == 1 and kind.name in ONE_OUTCOME_KINDS:
            yield f"split {split} has one outcome only: {next(iter(found))}"
