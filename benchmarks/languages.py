"""Real listings that declare no language: what share gets the right one, by catalogue and locale, beside py3langid alone.

    python benchmarks/languages.py [--data FOLDER] [--half report|tune]

Plain Python, no Spark. Measured on the half of the listings that the odds were not chosen on (inputs.real_listings). py3langid
sees the title alone, and chooses among the ten languages. ``foreign_recall`` is of listings that were moved to a locale that
does not speak their language: the share whose language is still found (in all, and of texts of 40 characters and more).
``calibration_error`` is the expected difference between confidence and accuracy. The last line of stdout is one JSON object.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from inputs.listings import REAL_CATALOGUE
from inputs.real_listings import RealListing, read_listings

from schemas.locales import LANGUAGES, LOCALES
from spark.ingest.cleaning.detection import detect_languages
from spark.ingest.cleaning.language import fill_languages, text_to_detect

FEWEST = 30  # listings of a locale, for its accuracy to mean something
LONG = 40  # characters
BINS = 10
Found = list[tuple[str | None, float]]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REAL_CATALOGUE, help="folder of the catalogue (default: %(default)s)")
    parser.add_argument("--half", choices=("report", "tune"), default="report", help="default: %(default)s")
    arguments = parser.parse_args(argv)
    half = arguments.half == "report"
    listings = [row for row in read_listings(arguments.data) if row.is_for_report == half and row.language in LANGUAGES]
    found, alone = detect(listings), [language for language, _ in detect_languages([row.title for row in listings])]
    hits = [language == row.language for row, (language, _) in zip(listings, found, strict=True)]
    alone_hits = [language == row.language for row, language in zip(listings, alone, strict=True)]
    by_locale = share_by([row.locale for row in listings], hits)
    figures = {
        "benchmark": "languages",
        "lowest_accuracy": min(share for share, count in by_locale.values() if count >= FEWEST),
        "accuracy": round(sum(hits) / len(hits), 4),
        "py3langid_accuracy": round(sum(alone_hits) / len(hits), 4),
        "accuracy_by_locale": by_locale,
        "py3langid_by_locale": share_by([row.locale for row in listings], alone_hits),
        "accuracy_by_catalogue": share_by([f"{row.catalogue} {row.language}" for row in listings], hits),
        "py3langid_by_catalogue": share_by([f"{row.catalogue} {row.language}" for row in listings], alone_hits),
        "calibration_error": calibration_error([confidence for _, confidence in found], hits),
        **measure_foreign(listings),
        "listings": len(listings),
    }
    print(json.dumps(figures))
    return 0


def detect(listings: Sequence[RealListing], locales: Sequence[str] | None = None) -> Found:
    """As ingest does it, where the feed declares nothing."""
    languages, confidences = fill_languages(
        [None] * len(listings),
        locales or [row.locale for row in listings],
        [row.title for row in listings],
        [row.category for row in listings],
        [row.description for row in listings],
        (),
    )
    return [(language, confidence or 0.0) for language, confidence in zip(languages, confidences, strict=True)]


def share_by(names: Sequence[str], hits: Sequence[bool]) -> dict[str, tuple[float, int]]:
    """Share of hits, and how many there were, by name."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for name, hit in zip(names, hits, strict=True):
        groups[name].append(hit)
    return {name: (round(sum(group) / len(group), 4), len(group)) for name, group in sorted(groups.items())}


def calibration_error(confidences: Sequence[float], hits: Sequence[bool]) -> float:
    """Guo and others 2017, equation 3."""
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, hit in zip(confidences, hits, strict=True):
        bins[min(int(confidence * BINS), BINS - 1)].append((confidence, hit))
    gaps = (abs(sum(confidence - hit for confidence, hit in group)) for group in bins.values())
    return round(sum(gaps) / len(hits), 4)


def measure_foreign(listings: Sequence[RealListing]) -> dict[str, float]:
    """Listings in a locale that does not speak their language: found, and by how much the locale is believed."""
    moved = [(row, locale) for row in listings if row.language not in LOCALES[locale := _other_locale(row)].languages]
    found = detect([row for row, _ in moved], [locale for _, locale in moved])
    hits = [language == row.language for (row, _), (language, _) in zip(moved, found, strict=True)]
    texts = (text_to_detect(row.title, row.category, row.description) for row, _ in moved)
    long = [hit for hit, text in zip(hits, texts, strict=True) if len(text) >= LONG]
    return {"foreign_recall": round(sum(hits) / len(hits), 4), "foreign_recall_of_long": round(sum(long) / len(long), 4)}


def _other_locale(listing: RealListing) -> str:
    codes = sorted(LOCALES)
    return codes[crc32(listing.item_id.encode()) // 2 % len(codes)]


if __name__ == "__main__":
    sys.exit(main())
