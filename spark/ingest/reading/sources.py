"""What files a feed is: paths, folders and globs become sorted lists of files by format."""

import fnmatch
import glob
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from m5model.files import storage
from schemas.errors import ConfigurationError

EXTENSIONS = {".jsonl": "json", ".ndjson": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
# Ending → codec, as Arrow calls it.
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


@dataclass(frozen=True)
class FeedFiles:
    """Files of a feed by format, each list sorted."""

    json: list[str] = field(default_factory=list)
    csv: list[str] = field(default_factory=list)
    parquet: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.json) + len(self.csv) + len(self.parquet)


def find_feed_files(paths: Sequence[str]) -> FeedFiles:
    """All files that ``paths`` (files, folders, globs; local or s3a://) name, hidden ones left out.

    Raises ConfigurationError naming every path that matches nothing and every file of an unknown format, all at once.
    """
    found: dict[str, set[str]] = {"json": set(), "csv": set(), "parquet": set()}
    problems = []
    for path in paths:
        files = _remote_files(path) if storage.is_remote(path) else _local_files(path)
        if files is None:
            problems.append(f"{path}: no such file or folder")
        for file in files or []:
            kind = _format_of(file)
            if kind is None:
                problems.append(f"{file}: not one of {', '.join(EXTENSIONS)} (plain or {', '.join(COMPRESSIONS)})")
            else:
                found[kind].add(file)
    if problems:
        raise ConfigurationError("cannot read the feed:\n  " + "\n  ".join(problems), next_step="correct --feed")
    return FeedFiles(**{kind: sorted(files) for kind, files in found.items()})


def _format_of(file: str) -> str | None:
    name = Path(file).name.lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    return EXTENSIONS.get(Path(name).suffix)


def _is_hidden(relative: str) -> bool:
    return any(part.startswith((".", "_")) for part in relative.split("/"))


def _local_files(path: str) -> list[str] | None:
    """None where nothing is there; an empty list for a folder without files."""
    matches = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else [path]
    files: list[str] = []
    for match in map(Path, matches):
        if match.is_dir():
            below = (file for file in match.rglob("*") if file.is_file())
            files += [str(file.absolute()) for file in below if not _is_hidden(file.relative_to(match).as_posix())]
        elif match.is_file():
            files.append(str(match.absolute()))
        else:
            return None
    return files if matches else None


def _remote_files(path: str) -> list[str] | None:
    path = path.replace("s3://", "s3a://", 1)
    if not glob.has_magic(path):
        below = [file for file in storage.list_files(path) if not _is_hidden(file)]
        if below:
            return [f"{path.rstrip('/')}/{file}" if file else path for file in below]
        return [path] if storage.exists(path) else None
    prefix = path[: min(path.index(sign) for sign in "*?[" if sign in path)].rpartition("/")[0]
    matches = [f"{prefix}/{file}" for file in storage.list_files(prefix) if fnmatch.fnmatch(f"{prefix}/{file}", path)]
    return matches or None
