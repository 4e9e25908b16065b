"""The vectors that a probe learns from, and those that it judges."""

from dataclasses import dataclass

from m5model.partners.vectors import Vectors


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Of one space, or of two with as many dimensions."""

    learned: Vectors
    read: Vectors

    @classmethod
    def of(cls, vectors: Vectors) -> "Reading":
        """Returns that of a consumer whose space is the one that it learned from."""
        return cls(learned=vectors, read=vectors)
