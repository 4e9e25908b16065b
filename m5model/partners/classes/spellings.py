"""Names that may be spellings or transliterations of one name: alike as texts in any script, and alike as classes.

Names are compared in Latin letters, and by the consonants that scripts keep: Arabic writes few vowels, Japanese adds some.
"""

import re
from dataclasses import dataclass

import numpy as np
from anyascii import anyascii
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Indel

MOST_NAMES = 5_000  # all pairs of so many are compared
LIKE_ENOUGH = 0.8
NEAR_ENOUGH = 0.5  # cosine of centroids in the space that tells classes apart
# One letter of each sound that scripts do not tell apart: Arabic has no p, Japanese has no l or v.
SOUNDS = str.maketrans(
    {"p": "b", "v": "b", "f": "b", "c": "k", "q": "k", "g": "k", "j": "s", "z": "s", "x": "s", "l": "r", "d": "t", "m": "n"}
)
DIGRAPHS = (
    ("sch", "s"),
    ("ph", "f"),
    ("tsu", "tu"),
    ("chi", "ti"),
    ("shi", "si"),
    ("sh", "s"),
    ("ch", "s"),
    ("th", "s"),
    ("ck", "k"),
)
SILENT = re.compile(r"[aeiouwyh\W_]+")
DOUBLED = re.compile(r"(.)\1+")
APART = re.compile(r"[\W_]+")


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """Two names that may be one."""

    name: str
    other: str
    likeness: float  # of the texts, 0 to 1
    cosine: float | None  # of the centroids; None without vectors
    crosses_scripts: bool

    @property
    def score(self) -> float:
        """Returns what pairs are ranked by: the mean of both, or the likeness alone."""
        return self.likeness if self.cosine is None else (self.likeness + max(self.cosine, 0.0)) / 2


def find_spellings(names: tuple[str, ...], centroids_CD: np.ndarray | None = None, most: int = 200) -> tuple[Spelling, ...]:
    """The likeliest pairs, best first, of the first MOST_NAMES names. ``centroids_CD`` are unit vectors of the names."""
    names = names[:MOST_NAMES]
    likeness_CC = compare_names(names)
    chosen_CC = likeness_CC >= LIKE_ENOUGH
    if centroids_CD is not None:
        chosen_CC |= _mutual(names, centroids_CD[: len(names)])
    pairs = np.argwhere(np.triu(chosen_CC, 1))
    found = []
    for one, other in pairs:
        cosine = None if centroids_CD is None else float(centroids_CD[one] @ centroids_CD[other])
        found.append(
            Spelling(
                name=names[one],
                other=names[other],
                likeness=round(float(likeness_CC[one, other]), 4),
                cosine=None if cosine is None else round(cosine, 4),
                crosses_scripts=_is_latin(names[one]) != _is_latin(names[other]),
            )
        )
    return tuple(sorted(found, key=lambda pair: (-pair.score, pair.name, pair.other))[:most])


def compare_names(names: tuple[str, ...]) -> np.ndarray:
    """Likeness (C, C) of all pairs: that of Latin letters; across scripts that of consonants, where it is more."""
    latin = [romanise(name) for name in names]
    likeness_CC = process.cdist(latin, latin, scorer=fuzz.ratio, dtype=np.float32) / 100
    sounds = [consonants(name) for name in latin]
    by_sound_CC = process.cdist(sounds, sounds, scorer=Indel.normalized_similarity, dtype=np.float32)
    is_long = np.asarray([len(sound) >= 2 for sound in sounds], bool)
    scripts = np.asarray([_is_latin(name) for name in names], bool)
    across_CC = (scripts[:, None] != scripts[None, :]) & is_long[:, None] & is_long[None, :]
    return np.asarray(np.where(across_CC, np.maximum(likeness_CC, by_sound_CC), likeness_CC))


def romanise(name: str) -> str:
    """The name in lower-case Latin letters and digits."""
    return APART.sub("", anyascii(name).casefold())


def consonants(latin: str) -> str:
    """The sounds of a romanised name that every script writes."""
    for letters, sound in DIGRAPHS:
        latin = latin.replace(letters, sound)
    return SILENT.sub("", DOUBLED.sub(r"\1", latin)).translate(SOUNDS)


def _mutual(names: tuple[str, ...], centroids_CD: np.ndarray) -> np.ndarray:
    """Pairs (C, C) of names in two scripts whose centroids are each other's nearest there: Chinese characters show no sound."""
    latin = np.asarray([_is_latin(name) for name in names], bool)
    mutual_CC = np.zeros((len(names), len(names)), bool)
    one, other = np.flatnonzero(latin), np.flatnonzero(~latin)
    if len(one) and len(other):
        cosines = centroids_CD[one] @ centroids_CD[other].T
        to_other, to_one = cosines.argmax(axis=1), cosines.argmax(axis=0)
        agreed = np.flatnonzero((to_one[to_other] == np.arange(len(one))) & (cosines.max(axis=1) >= NEAR_ENOUGH))
        mutual_CC[one[agreed], other[to_other[agreed]]] = mutual_CC[other[to_other[agreed]], one[agreed]] = True
    return mutual_CC


def _is_latin(name: str) -> bool:
    return all(ord(one) < 0x250 for one in name if one.isalpha())
