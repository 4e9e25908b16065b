"""Real titles damaged in the ways that happen: what share is repaired exactly, what is made worse, what is warned of.

    python benchmarks/mojibake.py [--data FOLDER] [--titles 1000] [--half report|tune]

Plain Python, no Spark. A cell is a language and a damage; its titles are of the half of the listings that no rule was chosen on
(inputs.real_listings). ``lowest_repaired_share`` is over cells that can be undone and have titles enough. ``false_repairs`` are
sound titles of the whole catalogue that a repair of character sets or escapes changes: titles without a part that is valid
UTF-8 read in a wrong set, and without C1 controls. They are listed on stderr with those that do hold damage, for a person to
judge. ``made_worse`` counts damaged titles whose distance to the original grew. The last line of stdout is one JSON object.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from inputs.damages import ALL, DAMAGES, UTF8_READ_AS, Damage
from inputs.listings import REAL_CATALOGUE
from inputs.real_listings import RealListing, read_listings

from spark.ingest.cleaning.repairs import languages_of
from spark.ingest.cleaning.text_repairs import RepairedRecord, repair_record

FEWEST = 30  # titles of a cell, for its share to mean something
OF_CHARACTERS = frozenset(("mojibake", "escapes", "surrogates"))


@dataclass(frozen=True, order=True)
class Title:
    text: str
    language: str
    locale: str
    is_for_report: bool


@dataclass
class Cell:
    """Counts of damaged titles."""

    titles: int = 0
    repaired: int = 0
    warned: int = 0  # of those that were not repaired
    worse: int = 0

    @property
    def repaired_share(self) -> float:
        return self.repaired / self.titles

    @property
    def warned_share(self) -> float:
        return self.warned / max(self.titles - self.repaired, 1)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REAL_CATALOGUE, help="folder of the catalogue (default: %(default)s)")
    parser.add_argument("--titles", type=int, default=1_000, help="titles of a cell at most (default: %(default)s)")
    parser.add_argument("--half", choices=("report", "tune"), default="report", help="default: %(default)s")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="failures of a cell to list on stderr")
    arguments = parser.parse_args(argv)
    titles = sorted({_title(listing) for listing in read_listings(arguments.data) if listing.language in ALL})
    results = {title: repair(title.text, title) for title in titles}
    changed = [title for title in titles if OF_CHARACTERS & set(results[title].repairs)]
    damaged = {title for title in changed if holds_damage(title.text)}
    for title in changed:
        mark = "damage" if title in damaged else "FALSE"
        sys.stderr.write(f"{mark} {title.locale} {title.language} {title.text!r} -> {results[title].texts['title']!r}\n")
    sound = [title for title in titles if is_sound(title, results[title])]
    cells = measure([title for title in sound if title.is_for_report == (arguments.half == "report")], arguments)
    warned = [title for title in titles if results[title].damaged or results[title].lost]
    print(json.dumps(summarise(cells, titles, changed, damaged, warned), ensure_ascii=False))
    return 0


def _title(listing: RealListing) -> Title:
    return Title(listing.title, listing.language, listing.locale, listing.is_for_report)


def is_sound(title: Title, result: RepairedRecord) -> bool:
    return result.texts["title"] == title.text and not result.damaged and not result.lost


def repair(text: str, title: Title) -> RepairedRecord:
    """What ingest makes of a listing that has nothing but a title."""
    return repair_record({"title": text}, None, None, languages_of(title.language, title.locale))


def holds_damage(title: str) -> bool:
    """Some part of the title is valid UTF-8 when it is written in one of the sets, or it holds a C1 control."""
    if any("\u0080" <= character <= "\u009f" for character in title):
        return True
    parts = {title[start : start + length] for start in range(len(title)) for length in (2, 3, 4)}
    return any(_is_one_character(part, charset) for part in parts if not part.isascii() for charset in UTF8_READ_AS.values())


def _is_one_character(part: str, charset: str) -> bool:
    try:
        return len(part.encode(charset).decode("utf-8")) == 1 < len(part)
    except UnicodeError:
        return False


def measure(sound: list[Title], arguments: argparse.Namespace) -> dict[tuple[str, str], Cell]:
    """Cells by damage and language."""
    by_language: dict[str, list[Title]] = defaultdict(list)
    for title in sorted(sound, key=lambda title: crc32(title.text.encode())):
        by_language[title.language].append(title)
    cells = {}
    for damage in DAMAGES:
        for language in damage.languages:
            cell = measure_cell(damage, by_language[language], arguments)
            if cell.titles:
                cells[damage.name, language] = cell
    return cells


def measure_cell(damage: Damage, titles: list[Title], arguments: argparse.Namespace) -> Cell:
    cell, shown = Cell(), 0
    for title in titles:
        damaged = damage.apply(title.text)
        if damaged is None or damaged == title.text:
            continue
        result = repair(damaged, title)
        after = result.texts["title"] or ""
        is_repaired = after == title.text
        is_worse = not is_repaired and after != damaged and distance(after, title.text) > distance(damaged, title.text)
        cell.titles += 1
        cell.repaired += is_repaired
        cell.warned += not is_repaired and bool(result.damaged or result.lost)
        cell.worse += is_worse
        if (
            not is_repaired
            and (shown < arguments.show or is_worse)
            and (damage.can_be_undone or not result.damaged + [*result.lost])
        ):
            shown += 1
            mark = "WORSE" if is_worse else "not repaired"
            sys.stderr.write(f"{damage.name} {title.language} {mark}: {title.text!r} | {damaged!r} | {after!r}\n")
        if cell.titles == arguments.titles:
            break
    return cell


def distance(left: str, right: str) -> int:
    """Levenshtein's."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(right, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def summarise(
    cells: dict[tuple[str, str], Cell], titles: list[Title], changed: list[Title], damaged: set[Title], warned: list[Title]
) -> dict[str, object]:
    can_be_undone = {damage.name: damage.can_be_undone for damage in DAMAGES}
    table: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for (name, language), cell in cells.items():
        share = cell.repaired_share if can_be_undone[name] else cell.warned_share
        table[name][language] = [round(share, 4), cell.titles]
    undone = [cell for (name, _), cell in cells.items() if can_be_undone[name] and cell.titles >= FEWEST]
    lost = [cell for (name, _), cell in cells.items() if not can_be_undone[name]]
    not_repaired = [cell for (name, _), cell in cells.items() if can_be_undone[name]]
    false = len(changed) - len(damaged)
    return {
        "benchmark": "mojibake",
        "lowest_repaired_share": round(min(cell.repaired_share for cell in undone), 4),
        "false_repairs": false,
        "false_repair_share": false / (len(titles) - len(damaged)),
        "made_worse": sum(cell.worse for cell in cells.values()),
        "warned_share": round(sum(cell.warned for cell in lost) / sum(cell.titles - cell.repaired for cell in lost), 4),
        "lowest_warned_share": round(min(cell.warned_share for cell in lost if cell.titles >= FEWEST), 4),
        "unrepaired_and_warned_share": round(
            sum(cell.warned for cell in not_repaired) / max(sum(cell.titles - cell.repaired for cell in not_repaired), 1), 4
        ),
        "titles": len(titles),
        "damaged_in_the_catalogue": len(damaged),
        "warned_in_the_catalogue": len(warned),
        "cells": len(cells),
        "damaged_titles": sum(cell.titles for cell in cells.values()),
        "table": table,
    }


if __name__ == "__main__":
    sys.exit(main())
