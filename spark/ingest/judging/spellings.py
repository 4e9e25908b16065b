"""Tells a person of rejects that lack a field which name they may have meant: names are compared as they are written, in every
form of feed."""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from spark.ingest.judging.rules import MISSING, Verdict
from spark.ingest.reading.lines import JSON, Lines

MAX_NAME_CHARACTERS = 40
_read_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def explain_spellings(verdicts: Mapping[int, Verdict], lines: Lines) -> dict[int, Verdict]:
    """The verdicts, by position; a detail names fields that differ from a missing one in case, blanks or hyphens alone."""
    return {i: _explain(verdict, lines, i) for i, verdict in verdicts.items()}


def _explain(verdict: Verdict, lines: Lines, i: int) -> Verdict:
    missing = {reason.removeprefix(MISSING) for reason in verdict.reasons if reason.startswith(MISSING)}
    if not missing or lines.formats[i] != JSON:
        return verdict
    meant = sorted(_find_meant(lines.raw[i], missing))
    if not meant:
        return verdict
    return Verdict(
        verdict.reasons, f"{verdict.detail}; the record has {', '.join(meant)}: names are compared as they are written"
    )


def _find_meant(raw: bytes, missing: Iterable[str]) -> Iterator[str]:
    wanted = {_simplify(name): name for name in missing}
    try:
        names = _read_names(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for name in names:
        if len(name) <= MAX_NAME_CHARACTERS and name != wanted.get(_simplify(name), name):
            yield repr(name)


def _simplify(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower())
