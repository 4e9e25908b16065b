"""Defines a release: which bundle each alias names from then on, by what evidence, and how long two spaces are served.

Releases are numbered files, ``releases/00000001.json``, which nothing changes once they are there; the newest one holds.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from schemas.figure import Figure

Alias = Literal["candidate", "champion"]
ALIASES: tuple[Alias, ...] = ("candidate", "champion")
Action = Literal["release", "rollback", "close"]
WINDOW_DAYS = 14.0  # that readers of the old space have, where nothing else is said


@dataclass(frozen=True, kw_only=True)
class SpaceBundle:
    """A bundle, and the space of its int8 vectors."""

    bundle: str
    space_id: str


@dataclass(frozen=True, kw_only=True)
class Window:
    """Both spaces are embedded and published until the end; then the new one takes the place of the old one."""

    old: SpaceBundle
    new: SpaceBundle
    opened_at: str  # ISO 8601, UTC
    ends_at: str

    def is_open(self, now: datetime) -> bool:
        return now < datetime.fromisoformat(self.ends_at)


@dataclass(frozen=True, kw_only=True)
class Aliases:
    """The bundle that each alias names; None where it names none."""

    candidate: SpaceBundle | None = None
    champion: SpaceBundle | None = None
    previous: SpaceBundle | None = None  # the champion before

    def named(self) -> dict[str, SpaceBundle]:
        """Returns the bundles by alias, of those aliases that name one."""
        return {name: one for name, one in vars(self).items() if one is not None}


@dataclass(frozen=True, kw_only=True)
class ReleaseRecord:
    """What one release decided."""

    number: int  # from 1
    action: Action
    alias: Alias  # that moved
    bundle: str  # that it names now
    at: str  # ISO 8601, UTC
    aliases: Aliases  # all of them from then on
    window: Window | None = None
    evidence: str | None = None  # id of a ReleaseEvidence; None where nothing was compared


@dataclass(frozen=True, kw_only=True)
class ReleaseEvidence:
    """How a bundle fared beside the champion on held-out labels; kept for refusals, too."""

    id: str  # hash of the bundles' spaces, the labels, the gate and the code
    bundle: str
    champion: str | None  # None: there was none to compare with
    labels: tuple[str, ...]  # NAME/VERSION
    figures: tuple[Figure, ...]
    at: str
    warnings: tuple[str, ...] = field(default=())
