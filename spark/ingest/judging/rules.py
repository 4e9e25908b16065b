"""Every rule that a record must pass. A rule looks at a column of a batch at once and names the records that break it.

An absent field breaks only the rules that require it (``missing_…``); a field of a wrong type is not absent, and breaks
``wrong_type`` instead. Records that could not be read have no fields: only their reason for that counts. Tombstones need no
title.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.locales import LANGUAGES, LOCALES, explain_locale
from schemas.reject import MAX_LOST_LETTERS, MAX_TEXT_CHARACTERS, MAX_TITLE_CHARACTERS
from spark.ingest.mapping.records import Records
from spark.ingest.mapping.timestamps import ACCEPTED

MAX_DETAIL_CHARACTERS = 200
MISSING = "missing_"  # and the field
# An id is kept as the feed has it, to the last blank. It may not hold what tables, logs and files cannot: control characters,
# half of a surrogate pair; nor U+FFFD, which stands for any character.
_odd = re.compile("[\u0000-\u001f\u007f-\u009f\ud800-\udfff\ufffd-\uffff]")
# Nor may it be a number that a spreadsheet rounded (4.00712E+12): several items have it then.
_rounded = re.compile(r"[0-9](?:[.,][0-9]+)?[Ee]\+[0-9]{1,3}")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of the rules that have one."""

    title: int = MAX_TITLE_CHARACTERS
    text: int = MAX_TEXT_CHARACTERS
    lost_letters: float = MAX_LOST_LETTERS  # share of a title's letters that are gone


@dataclass(frozen=True)
class Batch:
    """Repaired records, and their times in microseconds; None where the text is no time."""

    records: Records
    updated_at: Sequence[int | None]
    limits: Limits
    lost: Mapping[int, Mapping[str, float]] = field(default_factory=dict)  # position → field → share of its letters


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Records at the positions ``broken`` are rejected for ``reason``; ``detail`` is what to show a person of one."""

    reason: str
    broken: Callable[[Batch], Iterable[int]]
    detail: Callable[[Batch, int], str]


@dataclass(frozen=True)
class Verdict:
    """Why a record is rejected."""

    reasons: list[str]
    detail: str | None = None


def judge_records(batch: Batch) -> dict[int, Verdict]:
    """The rejected records of a batch, by position, each with all reasons in the order of the rules."""
    unreadable = batch.records.unreadable
    offences: dict[int, list[tuple[str, str]]] = {}
    for rule in RULES:
        for i in rule.broken(batch):
            if i not in unreadable:
                detail = rule.detail(batch, i)[:MAX_DETAIL_CHARACTERS].encode(errors="replace").decode()
                offences.setdefault(i, []).append((rule.reason, f"{rule.reason}: {detail}"))
    verdicts = {i: Verdict([name for name, _ in found], "; ".join(text for _, text in found)) for i, found in offences.items()}
    return verdicts | {i: Verdict([reason]) for i, reason in unreadable.items()}


def _one_of(reason: str, name: str, known: Iterable[str], explain: Callable[[str], str] = str) -> Rule:
    allowed = frozenset((*known, None))

    def broken(batch: Batch) -> Iterable[int]:
        values = batch.records.columns[name]
        return () if allowed.issuperset(values) else [i for i, value in enumerate(values) if value not in allowed]

    return Rule(reason=reason, broken=broken, detail=lambda batch, i: explain(_value(batch, name, i)))


def _required(name: str, *, of_tombstones: bool = True) -> Rule:
    def broken(batch: Batch) -> Iterable[int]:
        values, wrong = batch.records.columns[name], batch.records.wrong_types
        if None not in values:
            return ()
        deleted = batch.records.columns["deleted"]
        absent = (i for i, value in enumerate(values) if value is None and name not in wrong.get(i, ()))
        return [i for i in absent if of_tombstones or not deleted[i]]

    return Rule(
        reason=f"{MISSING}{name}",
        broken=broken,
        detail=lambda batch, i: f"{name} is absent or empty",
    )


def _at_most(reason: str, length: Callable[[Batch, int], int], limit: Callable[[Limits], int]) -> Rule:
    def broken(batch: Batch) -> Iterable[int]:
        # No text has more characters than its record has bytes.
        longest = limit(batch.limits)
        return [i for i, size in enumerate(batch.records.sizes) if size > longest and length(batch, i) > longest]

    return Rule(
        reason=reason,
        broken=broken,
        detail=lambda batch, i: f"{length(batch, i)} characters",
    )


def _title_length(batch: Batch, i: int) -> int:
    return len(batch.records.columns["title"][i] or "")


def _text_length(batch: Batch, i: int) -> int:
    columns = batch.records.columns
    pairs = columns["attributes"][i] or {}
    return sum(map(len, (*(columns["bullets"][i] or ()), columns["description"][i] or "", *pairs.values())))


def _no_instants(batch: Batch) -> Iterable[int]:
    texts = batch.records.columns["updated_at"]
    return [i for i, micros in enumerate(batch.updated_at) if micros is None and texts[i] is not None]


def _far_instants(batch: Batch) -> Iterable[int]:
    return [i for i, micros in enumerate(batch.updated_at) if micros is not None and micros not in ACCEPTED]


def _wrong_fields(batch: Batch, i: int) -> str:
    fields = batch.records.wrong_types[i]
    return ", ".join(fields) + (" (an id is a text, or a whole number of 64 bits)" if "item_id" in fields else "")


def _odd_ids(batch: Batch) -> Iterable[int]:
    ids = batch.records.columns["item_id"]
    joined = "".join(filter(None, ids))
    is_usual = joined.isprintable() if joined.isascii() else not _odd.search(joined)
    if is_usual and "+" not in joined:
        return ()
    return [i for i, item_id in enumerate(ids) if item_id is not None and (_odd.search(item_id) or _rounded.fullmatch(item_id))]


def _explain_id(batch: Batch, i: int) -> str:
    item_id = _value(batch, "item_id", i)
    is_rounded = _rounded.fullmatch(item_id) is not None
    return f"{item_id!r}{' (a spreadsheet rounded it: have the column written as text)' if is_rounded else ''}"


def _lost_titles(batch: Batch) -> Iterable[int]:
    deleted = batch.records.columns["deleted"]
    return [i for i, shares in batch.lost.items() if shares.get("title", 0) > batch.limits.lost_letters and not deleted[i]]


def _value(batch: Batch, name: str, i: int) -> str:
    value: Any = batch.records.columns[name][i]
    return str(value)


RULES = (
    Rule(
        reason="wrong_type",
        broken=lambda batch: batch.records.wrong_types,
        detail=_wrong_fields,
    ),
    _required("item_id"),
    _required("locale"),
    Rule(reason="invalid_item_id", broken=_odd_ids, detail=_explain_id),
    _one_of("unknown_locale", "locale", LOCALES, explain_locale),
    _one_of("unknown_language", "language", LANGUAGES),
    _required("title", of_tombstones=False),
    Rule(
        reason="letters_lost",
        broken=_lost_titles,
        detail=lambda batch, i: f"{batch.lost[i]['title']:.0%} of the title's letters",
    ),
    _at_most("title_too_long", _title_length, lambda limits: limits.title),
    _at_most("text_too_long", _text_length, lambda limits: limits.text),
    Rule(reason="invalid_updated_at", broken=_no_instants, detail=lambda batch, i: _value(batch, "updated_at", i)),
    Rule(reason="far_updated_at", broken=_far_instants, detail=lambda batch, i: _value(batch, "updated_at", i)),
)
