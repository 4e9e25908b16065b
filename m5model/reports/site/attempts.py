"""Reads parts of a workspace one by one: what cannot be read is noted and does not stop the others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pyarrow as pa
from deltalake.exceptions import DeltaError

from m5model.reports.site.facts import Broken
from schemas.errors import M5Error

Value = TypeVar("Value")

# What files of a wrong form raise: our own errors, the operating system's, the readers' of Delta, Parquet and JSON, and what
# plain access to values of another shape does.
UNREADABLE = (M5Error, OSError, DeltaError, pa.ArrowException, ValueError, LookupError, TypeError, AttributeError)
MESSAGE_CHARACTERS = 400


@dataclass
class Attempts:
    """Collects what could not be read."""

    broken: list[Broken] = field(default_factory=list)

    def each(self, page: str, names: Callable[[], Iterable[str]], read: Callable[[str], Value | None]) -> dict[str, Value]:
        """Returns what ``read`` gives for each name, without the names that it gives None for or fails at."""
        known = self.read(page, "the names of its parts", lambda: list(names())) or []
        found = {name: self.read(page, name, partial(read, name)) for name in known}
        return {name: value for name, value in found.items() if value is not None}

    def read(self, page: str, what: str, read: Callable[[], Value]) -> Value | None:
        """Returns what ``read`` gives; None where it fails, and then the failure is kept."""
        try:
            return read()
        except UNREADABLE as error:
            said = error.message if isinstance(error, M5Error) else f"{type(error).__name__}: {error}"
            shown = said if len(said) <= MESSAGE_CHARACTERS else said[:MESSAGE_CHARACTERS] + "…"
            self.broken.append(Broken(page=page, what=what, message=shown))
            return None
