"""Finds learned values in texts, in whatever case, with any hyphens, and with any digits in place of the learned ones.

A value's shape is its text in lower case with every run of digits as one 9, and no blank between it and a word behind it:
``Pack of 12`` and ``pack of 4`` are ``pack of 9``, ``40 mm`` and ``3mm`` are ``9mm``.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

MOST_CHARACTERS = 80  # of a value that is looked for


@dataclass(frozen=True, kw_only=True)
class Found:
    """A place in a text."""

    shape: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A text as shapes are looked for in it, with the place of every character in the text itself."""

    text: str
    shaped: str
    places: tuple[int, ...]  # of the characters of ``shaped``, and the length of the text

    @classmethod
    def of(cls, text: str) -> "Surface":
        shaped: list[str] = []
        places: list[int] = []
        for place, character in enumerate(text):
            folded = fold_character(character)
            if shaped and shaped[-1] == "9" and (folded == "9" or (folded == " " and text[place + 1 : place + 2].isalpha())):
                continue
            shaped.append(folded)
            places.append(place)
        return cls(text=text, shaped="".join(shaped), places=(*places, len(text)))

    def find(self, shapes: "Shapes") -> list[Found]:
        """Every place where one of the shapes stands as a whole word, or anywhere in scripts that have no blanks."""
        found = []
        for start in range(len(self.shaped)):
            if start and _joined(self.shaped[start - 1], self.shaped[start]):
                continue
            for length in shapes.lengths:
                end = start + length
                if end > len(self.shaped):
                    break
                shape = self.shaped[start:end]
                if shape in shapes.known and (end == len(self.shaped) or not _joined(shape[-1], self.shaped[end])):
                    found.append(Found(shape=shape, start=self.places[start], end=self._end(end)))
        return found

    def _end(self, end: int) -> int:
        """The character behind so many shaped ones: a run of digits is one of them, a blank behind it is none."""
        return len(self.text[: self.places[end]].rstrip())


class Shapes:
    """A set of shapes, with their lengths in ascending order."""

    def __init__(self, shapes: Iterable[str]) -> None:
        self.known = frozenset(shape for shape in shapes if 0 < len(shape) <= MOST_CHARACTERS)
        self.lengths = tuple(sorted({len(shape) for shape in self.known}))


def shape_of(value: str) -> str:
    return Surface.of(value.strip()).shaped


def fold_character(character: str) -> str:
    """One character for one: lower case, a blank for blanks and hyphens, 9 for digits."""
    if character.isdigit():
        return "9"
    if character.isspace() or character in "-‐‑–":
        return " "
    lower = character.casefold()
    return lower if len(lower) == 1 else character


def _joined(left: str, right: str) -> bool:
    """Do both belong to one word? 9cm is two, since sellers write both."""
    if not (_is_spaced(left) and _is_spaced(right)):
        return False
    return (left == "9") == (right == "9")


def _is_spaced(character: str) -> bool:
    """Is it a letter or digit of a script that has blanks between words? Japanese has none."""
    return character.isalnum() and unicodedata.east_asian_width(character) not in ("W", "F")
