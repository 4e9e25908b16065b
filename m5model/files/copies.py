"""Local copies of what lies on S3: made once, checked whenever they are opened, made again where they are damaged."""

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from m5model.files import storage
from m5model.files.caches import cache_folder
from m5model.files.checksums import copy_verified, find_damage
from schemas.checks import require_relative_file
from schemas.space import sha256_hex


def local_copy(path: str, files: Mapping[str, str], cache: Path | None = None) -> Path:
    """A local folder with ``files`` (relative path → SHA-256): ``path`` itself where it is local, else a checked copy.

    The copy's place is named by the hashes, so it can never be stale. Raises DamagedFileError where a remote file's bytes are
    not the ones expected; a local ``path`` is not read.
    """
    if not storage.is_remote(path):
        return Path(path)
    names = "\n".join(f"{name} {digest}" for name, digest in sorted(files.items()))
    target = (cache or cache_folder()) / sha256_hex(names.encode())[:24]
    if target.exists():
        if not find_damage(target, files):
            return target
        shutil.rmtree(target)
    _fetch(path, files, target)
    return target


def _fetch(path: str, files: Mapping[str, str], target: Path) -> None:
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        for name, expected in files.items():
            copy_verified(f"{path}/{require_relative_file(path, name)}", partial / name, expected)
        _rename(partial, target, files)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _rename(partial: Path, target: Path, files: Mapping[str, str]) -> None:
    """Put the finished copy in its place. A refusal is no error where another process put the same copy there first."""
    try:
        partial.rename(target)
    except OSError:
        if not target.is_dir() or find_damage(target, files):
            raise
