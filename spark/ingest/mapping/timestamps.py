"""Times of records: ISO 8601, and the shorter spellings that Spark takes for a timestamp. Without a zone they are UTC.

No library reads all of these as fast: msgspec and Arrow refuse 2024-3-7 and more, dateutil takes 17 times as long and refuses
it too. ``datetime.fromisoformat`` reads what feeds usually write.
"""

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# Whole years that 64 bits of nanoseconds hold (pandas, numpy, Parquet's INT96 in Arrow): every reader can open them.
FIRST_YEAR, LAST_YEAR = 1678, 2261
ACCEPTED = range(
    (datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND,
    (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND,
)
MAX_OFFSET_HOURS = 18

# 2024, 2024-3, 2024-3-7 and 2024-3-7 9:05[:07[.123456789]][zone], with a blank or a T in the middle.
_SHORT = re.compile(
    r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})"
    r"(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,9}))?)? ?(Z|UTC|[+-]\d{1,2}:[0-5]\d)?)?)?)?",
    re.ASCII,
)


def to_micros(text: str) -> int | None:
    """Microseconds since 1970; None where the text is no instant. Finer parts are cut off."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return _read_short(text)
    return ((instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


def _read_short(text: str) -> int | None:
    match = _SHORT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    offset = _offset_micros(zone)
    if offset is None:
        return None
    micros = int((fraction or "").ljust(6, "0")[:6])
    try:
        parts = (int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0))
        instant = datetime(*parts, microsecond=micros, tzinfo=UTC)
    except ValueError:
        return None
    return (instant - EPOCH) // MICROSECOND - offset


def _offset_micros(zone: str | None) -> int | None:
    if zone in (None, "Z", "UTC"):
        return 0
    hours, _, minutes = zone[1:].partition(":")
    if int(hours) > MAX_OFFSET_HOURS:
        return None
    size = (int(hours) * 60 + int(minutes)) * 60_000_000
    return -size if zone[0] == "-" else size
