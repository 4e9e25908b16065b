"""Hashes of files, and of all files of a folder."""

import hashlib
from pathlib import Path


def sha256_of(file: Path) -> str:
    """SHA-256 of a local file: 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_files(folder: Path, but: str) -> dict[str, dict[str, str | int]]:
    """Path below ``folder`` → SHA-256 and size in bytes, of every file that is not named ``but`` (the manifest)."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != but)
    return {file.relative_to(folder).as_posix(): {"sha256": sha256_of(file), "bytes": file.stat().st_size} for file in files}
