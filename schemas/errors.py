"""Defines the errors that a person can act on, and the exit code that each one ends a command with."""

import errno
import re
from collections.abc import Iterator
from enum import IntEnum

_ADVICE = "\n  What to do: "


class ExitCode(IntEnum):
    """What a job or an ``m5`` command returns to its scheduler."""

    DONE = 0
    FAILED = 1
    BAD_CONFIGURATION = 2
    BAD_DATA = 3
    GATE_REFUSED = 4


class M5Error(Exception):
    """Base of all errors that M5 raises on purpose.

    The message says what went wrong and where, what was found and expected, and, in ``next_step``, what to do now.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}{_ADVICE}{self.next_step}" if self.next_step else message


class ConfigurationError(M5Error):
    """An argument, a path or the environment does not allow the work to start."""

    exit_code = ExitCode.BAD_CONFIGURATION


class BadDataError(M5Error):
    """The input is bad: more of it than was allowed, or a file that nothing can be done with."""

    exit_code = ExitCode.BAD_DATA


class GateRefusedError(M5Error):
    """A numeric gate (parity, balance, accounting) did not hold, so nothing was released."""

    exit_code = ExitCode.GATE_REFUSED


class StorageFullError(M5Error):
    """A disk or a quota is full. The same command can be run again when there is space."""


class DamagedFileError(BadDataError):
    """A bundle, a training set or a checkpoint is not what its manifest describes, or the manifest cannot be read."""


class SpaceMismatchError(M5Error):
    """Vectors of two spaces were about to be compared or joined."""


class ModelInputError(BadDataError):
    """Something that cannot be encoded: no text, a text that no encoding has, a text that a model fails on."""


def find_error(text: str) -> M5Error | None:
    """Finds the last M5Error in ``text``, which is what another process printed: a traceback, or a Java stack trace around one.

    It keeps its class, message and advice. None where there is none.
    """
    every: list[type[M5Error]] = [M5Error, *_subclasses(M5Error)]
    kinds = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in every}
    found = list(re.finditer(rf"^({'|'.join(map(re.escape, kinds))}): ", text, flags=re.MULTILINE))
    if not found:
        return None
    rest = re.split(r"\n\s*at |\n\nThe above exception|\n\nDuring handling", text[found[-1].end() :], maxsplit=1)[0]
    message, _, advice = re.sub(r"\s*(SQLSTATE: \w{5}\s*)?$", "", rest).partition(_ADVICE)
    return kinds[found[-1][1]](message, next_step=advice)


def _subclasses(kind: type[M5Error]) -> Iterator[type[M5Error]]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


_OTHER_PLACE = "name a place that this user may read and write, or change its permissions"
_RUN_AGAIN = "free some space there, or name another place; then run the same command again: nothing half-written is left"
_BY_ERRNO: dict[int, tuple[type[M5Error], str]] = {
    errno.ENOSPC: (StorageFullError, _RUN_AGAIN),
    errno.EDQUOT: (StorageFullError, _RUN_AGAIN),
    errno.EROFS: (ConfigurationError, _OTHER_PLACE),
    errno.EACCES: (ConfigurationError, _OTHER_PLACE),
    errno.EPERM: (ConfigurationError, _OTHER_PLACE),
    errno.ENOENT: (ConfigurationError, "check the path"),
    errno.ENOTDIR: (ConfigurationError, "check the path: a part of it is a file"),
    errno.EISDIR: (ConfigurationError, "check the path: it is a folder"),
    errno.ENAMETOOLONG: (ConfigurationError, "use shorter names"),
    errno.EMFILE: (ConfigurationError, "raise the limit of open files: ulimit -n 4096"),
}


def explain_os_error(error: OSError) -> M5Error:
    """Returns what the operating system refused (a full disk, a missing right), with advice where there is a remedy."""
    kind, advice = _BY_ERRNO.get(error.errno or 0, (M5Error, ""))
    return kind(str(error), next_step=advice) if advice else M5Error(f"{type(error).__name__}: {error}")
