"""Real titles of the ten languages, damaged in the ways that happen: what share is repaired exactly. And sound ones left alone.

    python benchmarks/mojibake.py [--titles 2000]

Plain Python, no Spark. ``false_repairs`` are titles that were decoded again although no part of them is valid UTF-8 that was
read with a wrong character set. Titles that have such a part are damage that the catalogue itself brings. Both are listed on
stderr, before and after, for a person to judge.
The last line of stdout is one JSON object.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
from inputs.listings import REAL_CATALOGUE

from schemas.errors import ConfigurationError
from spark.ingest.cleaning.text_repairs import repair_text

SHOWN = 40


def _read_as(written: str, read: str, times: int = 1) -> Callable[[str], str | None]:
    """Text in one character set, read as another; None where it cannot be written in the first."""

    def damage(text: str) -> str | None:
        try:
            for _ in range(times):
                text = text.encode(written).decode(read)
        except UnicodeError:
            return None
        return text

    return damage


ALL = ("ar", "de", "en", "es", "fr", "it", "ja", "nl", "pt", "tr")
DAMAGES: dict[str, tuple[tuple[str, ...], Callable[[str], str | None]]] = {
    "utf-8 as cp1252": (ALL, _read_as("utf-8", "sloppy-windows-1252")),
    "utf-8 as latin-1": (ALL, _read_as("utf-8", "latin-1")),
    "utf-8 as cp1252, twice": (ALL, _read_as("utf-8", "sloppy-windows-1252", times=2)),
    "utf-8 as cp1256": (("ar",), _read_as("utf-8", "cp1256")),
    "cp1256 as cp1252": (("ar",), _read_as("cp1256", "sloppy-windows-1252")),
    "utf-8 as shift-jis": (("ja",), _read_as("utf-8", "cp932")),
    "shift-jis as cp1252": (("ja",), _read_as("cp932", "sloppy-windows-1252")),
}


def main() -> int:
    import ftfy.bad_codecs

    ftfy.bad_codecs.ok()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--titles", type=int, default=2_000, help="titles a language to damage (default: %(default)s)")
    arguments = parser.parse_args()
    titles = read_titles()
    changed = [(language, title) for language, title in titles if is_decoded_again(title)]
    damaged = {(language, title) for language, title in changed if holds_damage(title)}
    for language, title in changed[:SHOWN]:
        sys.stderr.write(f"{language}  {title!r} -> {undo(title)!r}\n")
    sound = [entry for entry in titles if entry not in damaged]
    figures = {
        "benchmark": "mojibake",
        "titles": len(titles),
        "repaired_share": damage_and_repair(sound, arguments.titles),
        "damaged_in_the_catalogue": len(damaged),
        "sound_titles": len(sound),
        "false_repairs": len(changed) - len(damaged),
        "false_repair_share": (len(changed) - len(damaged)) / len(sound),
    }
    print(json.dumps(figures, ensure_ascii=False))
    return 0


def read_titles() -> list[tuple[str, str]]:
    """Distinct (language, title) of the real catalogues, sorted."""
    files = sorted(REAL_CATALOGUE.glob("*.parquet"))
    if not files:
        raise ConfigurationError("there is no real catalogue here", next_step="name its folder in M5_REAL_CATALOGUE")
    tables = [pq.read_table(file, columns=["language", "title"]).to_pylist() for file in files]
    return sorted(
        {(row["language"], row["title"]) for rows in tables for row in rows if row["title"] and row["language"] in ALL}
    )


def undo(title: str) -> str | None:
    """What ingest makes of a title."""
    return repair_text(title, set())


def is_decoded_again(title: str) -> bool:
    found: set[str] = set()
    repair_text(title, found)
    return "mojibake" in found


def holds_damage(title: str) -> bool:
    """True where some part of the title is valid UTF-8 when it is written as cp1252 or Latin-1."""
    for charset in ("sloppy-windows-1252", "latin-1"):
        for start in range(len(title)):
            for length in (2, 3, 4):
                part = title[start : start + length]
                try:
                    if len(part) == length and len(part.encode(charset).decode("utf-8")) == 1:
                        return True
                except UnicodeError:
                    continue
    return False


def damage_and_repair(sound: list[tuple[str, str]], wanted: int) -> dict[str, dict[str, float | int]]:
    """By damage and language: the share of damaged titles that come back exactly, and how many there were."""
    by_language: dict[str, list[str]] = defaultdict(list)
    for language, title in sound:
        repaired = undo(title)
        if repaired == title:
            by_language[language].append(title)
    shares: dict[str, dict[str, float | int]] = {}
    for name, (languages, damage) in DAMAGES.items():
        own: dict[str, float | int] = {}
        for language in languages:
            order = np.random.default_rng(0).permutation(len(by_language[language]))
            pairs = [(title, damage(title)) for title in (by_language[language][i] for i in order)]
            hurt = [(title, damaged) for title, damaged in pairs if damaged is not None and damaged != title][:wanted]
            if hurt:
                own[language] = round(sum(undo(damaged) == title for title, damaged in hurt) / len(hurt), 4)
                own[f"{language}_titles"] = len(hurt)
        shares[name] = own
    return shares


if __name__ == "__main__":
    sys.exit(main())
