"""Folders that are this user's alone: the cache ($M5_CACHE, else ~/.cache/m5), and a place for locks.

Services run without a home, without an entry in the user database, or with a home that cannot be written. What is cached can be
made again, so a folder in the shared temporary one serves then; it is used only where nobody else can write to it.
"""

import logging
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from schemas.errors import ConfigurationError, explain_os_error

log = logging.getLogger(__name__)

VARIABLE = "M5_CACHE"
_PRIVATE = 0o700


def cache_folder() -> Path:
    """The cache, made where it is not there. Raises ConfigurationError where $M5_CACHE names a place that cannot be written."""
    named = os.environ.get(VARIABLE)
    if named:
        return _named_folder(Path(named))
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and no entry in the user database
        return _temporary_folder()
    folder = home / ".cache" / "m5"
    return folder if _is_writable(folder) else _temporary_folder()


def _named_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{VARIABLE} is {folder}: {error.strerror}", next_step=explain_os_error(error).next_step or "name another folder"
        ) from error
    return folder


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _temporary_folder() -> Path:
    """A folder of this user in the shared temporary one; a new one where the usual name is somebody else's."""
    folder = Path(tempfile.gettempdir()) / f"m5-cache-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=_PRIVATE)
    if not _is_private(folder):
        folder = Path(tempfile.mkdtemp(prefix="m5-cache-"))
    log.info("the home folder cannot be used: caching in %s; set %s to choose another place", folder, VARIABLE)
    return folder


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
