"""Hashes that must never be mixed up, the identity of a vector space, and the one test of whether two spaces compare."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations

from schemas.errors import SpaceMismatchError


def sha256_hex(data: bytes) -> str:
    """SHA-256 of ``data``: 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, kw_only=True)
class VectorSpace:
    """All that decides the bytes of a vector, given a text. Two vectors compare only within one space."""

    rendering: str  # canonical JSON of the rendering, see m5model.runtime.rendering
    vocabulary_sha256: str  # of tokenizer.json
    max_tokens: int  # tokens, special ones included
    pooling: str  # "mean"
    weights_sha256: str  # of the model file that runs
    quantization: str  # "none" or e.g. "int8-static"
    runtime: str  # how texts are cut into calls and computed, see m5model.runtime.RUNTIME

    @property
    def space_id(self) -> str:
        """16 hexadecimal digits."""
        return sha256_hex(json.dumps(asdict(self), sort_keys=True).encode())[:16]


@dataclass(frozen=True, kw_only=True)
class SameSpace:
    """Evidence in a bundle's manifest: its int8 vectors of queries may be compared with vectors of another bundle.

    Both were taught to give the vectors of one teacher, and a gate measured what comparing them loses. The figures are those of
    the manifest's gate whose names begin with ``same_space_``.
    """

    bundle: str  # id of the other one, which gives the vectors of documents
    space_id: str  # of these


@dataclass(frozen=True, kw_only=True)
class ComparableSpaces:
    """Pairs of spaces whose vectors may be compared though their ids differ, by the evidence of bundles."""

    pairs: frozenset[frozenset[str]] = frozenset()

    @classmethod
    def of(cls, evidence: Iterable[tuple[str, Iterable[SameSpace]]]) -> "ComparableSpaces":
        """``evidence`` holds a bundle's space and what its manifest says of others."""
        return cls(pairs=frozenset(frozenset({space, one.space_id}) for space, others in evidence for one in others))

    def are_one(self, first: str, second: str) -> bool:
        """May vectors of these two spaces be compared? Evidence of two pairs says nothing of a third."""
        return first == second or frozenset({first, second}) in self.pairs

    def require_one(self, space_ids: Iterable[str]) -> None:
        """Raise SpaceMismatchError naming two of the spaces that may not be compared."""
        for first, second in combinations(sorted(set(space_ids)), 2):
            if not self.are_one(first, second):
                raise SpaceMismatchError(
                    f"vectors of the spaces {first} and {second} cannot be compared",
                    next_step="keep the vectors of one space; or let one bundle give the vectors of queries only, made with "
                    "`m5 distill --same-space-as BUNDLE`, whose gate shows that both are one space",
                )
