"""Counts listings by locale and language: all of them where that costs seconds, else a sample of each locale's files."""

from collections import Counter
from collections.abc import Iterable

import pyarrow.compute as pc

from m5model.reports.site.data_files import read_batches
from m5model.reports.site.facts import LanguageCounts
from m5model.reports.site.tables import OpenTable
from schemas.space import sha256_hex

WHOLE_ROWS = 2_000_000  # one column of so many rows is read in about a second
SAMPLED_FILES = 4  # of a locale, the first row group of each


def count_languages(listings: OpenTable, whole_rows: int = WHOLE_ROWS) -> LanguageCounts:
    """Files are sampled by the hash of their names, so that the same table gives the same counts."""
    is_whole = (listings.rows or whole_rows + 1) <= whole_rows
    paths = listings.files.column("path").to_pylist()
    locales = listings.files.column("partition.locale").to_pylist()
    by_locale: dict[str, Counter[str]] = {}
    for locale in sorted(set(locales)):
        mine = sorted((path for path, its in zip(paths, locales, strict=True) if its == locale), key=_place)
        chosen, groups = (mine, None) if is_whole else (mine[:SAMPLED_FILES], (0,))
        by_locale[locale] = _count(listings.path, chosen, groups)
    counts = {locale: dict(sorted(found.items())) for locale, found in by_locale.items()}
    return LanguageCounts(by_locale=counts, of_rows=sum(sum(one.values()) for one in counts.values()), is_whole=is_whole)


def _place(path: str) -> str:
    return sha256_hex(path.encode())


def _count(table: str, paths: Iterable[str], groups: tuple[int, ...] | None) -> Counter[str]:
    counts: Counter[str] = Counter()
    for path in paths:
        for batch in read_batches(table, path, ["language"], row_groups=groups):
            for entry in pc.value_counts(batch.column("language")).to_pylist():
                counts[entry["values"] or ""] += entry["counts"]
    return counts
