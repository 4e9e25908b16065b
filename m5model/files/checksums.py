"""SHA-256 of files, streamed: hash them, and compare them with what a manifest says."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from m5model.files import storage
from schemas.checks import require_relative_file
from schemas.errors import DamagedFileError

NEXT_STEP = "restore the file from where it came from, or make it again with the job that wrote it; do not use what is there"


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, local or on S3, which is never held as a whole: 64 hexadecimal digits."""
    hashed = hashlib.sha256()
    with storage.open_input(str(path)) as stream:
        while block := stream.read(storage.BLOCK_BYTES):
            hashed.update(block)
    return hashed.hexdigest()


def hash_files(folder: Path, but: str) -> dict[str, dict[str, str | int]]:
    """Path below ``folder`` → SHA-256 and size in bytes, of every file that is not named ``but`` (the manifest)."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != but)
    return {file.relative_to(folder).as_posix(): {"sha256": sha256_of(file), "bytes": file.stat().st_size} for file in files}


def find_damage(folder: Path, files: Mapping[str, str]) -> str:
    """The first file below ``folder`` that is missing or has not its SHA-256, and what it has; empty where all are whole."""
    for name, expected in files.items():
        file = folder / require_relative_file(str(folder), name)
        if not file.is_file():
            return f"{file} is missing"
        found = sha256_of(file)
        if found != expected:
            return f"{file} has SHA-256 {found[:12]}…, expected {expected[:12]}…"
    return ""


def verify_files(folder: Path, files: Mapping[str, str], what: str) -> None:
    """Raise DamagedFileError naming ``what`` and the first of ``files`` (path → SHA-256) that is missing or differs."""
    damage = find_damage(folder, files)
    if damage:
        raise DamagedFileError(f"{what} is damaged: {damage}", next_step=NEXT_STEP)


def copy_verified(path: str, target: Path, expected: str) -> None:
    """Copy a file to the local ``target``. Raises DamagedFileError, and leaves no copy, where it is not as expected."""
    try:
        source = storage.open_input(path)
    except FileNotFoundError as error:
        raise DamagedFileError(f"{path} is missing, though its manifest lists it", next_step=NEXT_STEP) from error
    with source, storage.open_output(str(target)) as copy:
        found = _copy(source, copy)
        if found != expected:
            raise DamagedFileError(
                f"{path} is damaged: it has SHA-256 {found[:12]}…, expected {expected[:12]}…", next_step=NEXT_STEP
            )


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    """Copy block by block; returns the SHA-256."""
    hashed = hashlib.sha256()
    while block := source.read(storage.BLOCK_BYTES):
        hashed.update(block)
        target.write(block)
    return hashed.hexdigest()
