"""How long listings are in tokens, by locale: the lengths of m5model/planning/profile.json.

    python benchmarks/plan_profile.py [--data FOLDER] [--vocabulary-size 50000] [--output FILE]

Reads real listings ($M5_REAL_CATALOGUE), learns a vocabulary from them, renders every listing as executors do, and counts. Only
counts are written. The shares of locales are no measurement: nobody publishes how 22 billion listings are spread, so the file
takes the weights of the sample catalogue, which are skewed on purpose. The last line of stdout is one JSON object.
"""

import argparse
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
from inputs.listings import REAL_CATALOGUE
from inputs.real_listings import find_folder

from m5model.data.vocabulary import train_vocabulary
from m5model.planning.profile import Profile, profile_of_lengths
from m5model.runtime.rendering import render
from m5model.sample_catalogue.items import LOCALE_WEIGHTS

FEWEST = 100  # listings of a locale; one with fewer takes the lengths of its language
LANGUAGE_OF = {"CA": "en", "UK": "en", "AE": "en", "MX": "es", "BR": "pt", "SA": "ar", "IN": "en"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REAL_CATALOGUE)
    parser.add_argument("--vocabulary-size", type=int, default=50_000)
    parser.add_argument("--output", type=Path, help="where to write the profile")
    arguments = parser.parse_args()
    listings = _read(arguments.data)
    if not listings:
        print(
            json.dumps(
                {"benchmark": "plan_profile", "mean_tokens": None, "reason": f"there is no catalogue in {arguments.data}"}
            )
        )
        return 0
    profile = _profile(listings, arguments.vocabulary_size)
    if arguments.output:
        arguments.output.write_text(json.dumps(profile.as_json(), indent=1) + "\n", encoding="utf-8")
    means = {code: round(one.mean_tokens, 1) for code, one in profile.locales.items()}
    print(json.dumps({"benchmark": "plan_profile", "listings": len(listings), "mean_tokens": means}))
    return 0


def _read(data: Path) -> list[tuple[str, str, str]]:
    """Locale, language and text."""
    read = []
    for file in sorted(find_folder(data).glob("*.parquet")):
        for row in pq.read_table(file).to_pylist():
            if row["title"]:
                row["attributes"] = dict(row["attributes"] or [])
                read.append((row["locale"], row["language"], render(row)))
    return read


def _profile(listings: list[tuple[str, str, str]], vocabulary_size: int) -> Profile:
    tokenizer = train_vocabulary([text for *_, text in listings], vocabulary_size)
    counts = [len(one.ids) for one in tokenizer.encode_batch([text for *_, text in listings])]
    lengths: dict[str, list[int]] = {code: [] for code in LOCALE_WEIGHTS}
    by_language: dict[str, list[int]] = {}
    for (locale, language, _), count in zip(listings, counts, strict=True):
        lengths.setdefault(locale, []).append(count)
        by_language.setdefault(language, []).append(count)
    borrowed = [code for code, own in lengths.items() if len(own) < FEWEST]
    lengths |= {code: by_language[LANGUAGE_OF[code]] for code in borrowed}
    source = (
        f"lengths: {len(listings):,} real listings (groceries, fashion, electronics), a vocabulary of {vocabulary_size:,} "
        f"learned from them, benchmarks/plan_profile.py, 2026-11; those of its language for {', '.join(borrowed) or 'none'}. "
        "Shares of locales: an assumption, those of the sample catalogue"
    )
    return profile_of_lengths(source, lengths, LOCALE_WEIGHTS)


if __name__ == "__main__":
    sys.exit(main())
