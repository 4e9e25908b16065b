"""Finds the files of a feed: paths, folders and globs become sorted lists of files by format, and of those left out."""

import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pyarrow.fs as pafs

from m5model.feeds.compression import COMPRESSIONS
from m5model.feeds.table_formats import DELTA, find_table_around, find_table_of
from m5model.files import storage
from schemas.errors import ConfigurationError
from schemas.listing import FEED_FIELDS

JSON, CSV, XML, PARQUET = "json", "csv", "xml", "parquet"
EXTENSIONS = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), JSON),
    **dict.fromkeys((".csv", ".tsv", ".tab"), CSV),
    **dict.fromkeys((".xml", ".rss", ".atom"), XML),
    ".parquet": PARQUET,
}

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
MAX_NAMES = 5  # in one message

LEFT_OUT = {
    "hidden": "their names, or their folders', begin with _ or .",
    "unknown_ending": f"their names do not end in one of {', '.join(EXTENSIONS)} (plain or {', '.join(COMPRESSIONS)})",
    "empty": "they have no bytes",
    "no_file": "they are links to folders or to nothing, or no files at all",
}


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A file below a feed's path that is not read."""

    path: str
    reason: str  # a name from LEFT_OUT
    may_hold_records: bool  # markers do not, such as _SUCCESS, nor does an empty file of lines


@dataclass(frozen=True, kw_only=True)
class FeedFile:
    """A file that is read."""

    path: str
    kind: str  # one of JSON, CSV, XML, PARQUET
    size: int = 0  # bytes as it is stored
    constants: tuple[tuple[str, str], ...] = ()  # fields that its folders say (``locale=DE``), for records that do not
    encoding: str = ""  # Python's codec, where it is declared
    shown: str = ""  # the name in reports, where that is not the file's

    @property
    def uri(self) -> str:
        """The file as reports name it."""
        if self.shown:
            return self.shown
        return self.path if storage.is_remote(self.path) else Path(self.path).as_uri()


@dataclass(frozen=True)
class FeedFiles:
    """Files of a feed, in the order of their paths."""

    files: list[FeedFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    unread_paths: list[str] = field(default_factory=list)  # named paths of which no file is read
    tables: list[str] = field(default_factory=list)  # roots of tables of Delta, whose files are none of ``files``

    @property
    def count(self) -> int:
        return len(self.files)

    def paths(self, kind: str) -> list[str]:
        """The files of one kind."""
        return [file.path for file in self.files if file.kind == kind]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Names the parts of the feed that are not read, though they may hold records."""
        warnings = [f"nothing of {path} is read: it holds no file of a feed" for path in self.unread_paths]
        for reason, meaning in LEFT_OUT.items():
            files = [file.path for file in self.left_out if file.reason == reason and file.may_hold_records]
            if files:
                warnings.append(f"{len(files):,} files were left out, {meaning}: {list_some(files)}")
        return tuple(warnings)


@dataclass(frozen=True)
class _Entry:
    """Holds what a path of the feed leads to."""

    path: str
    relative: str  # to the folder that was named; empty for a file that was named itself
    size: int | None  # bytes; None for what is no file


def find_feed_files(paths: Sequence[str], *, with_tables: bool = False, encoding: str = "") -> FeedFiles:
    """All files that ``paths`` (files, folders, globs; local or s3a://) name, and, if asked for, tables of Delta.

    ``encoding`` is the codec of those that are text.

    Raises ConfigurationError naming, all at once, every path that matches nothing, every named file of an unknown format and
    every table that is no loose files (Iceberg, Hudi, and Delta or a part of one).
    """
    found: dict[str, FeedFile] = {}
    left_out: dict[str, LeftOut] = {}
    tables: set[str] = set()
    problems, unread = [], []
    for path in paths:
        entries = _remote_entries(path) if storage.is_remote(path) else _local_entries(path)
        if entries is None:
            problems.append(f"{path}: no such file or folder")
            continue
        roots = _delta_roots(path, entries) if with_tables else set()
        tables |= roots
        entries = [entry for entry in entries if not _is_below(entry.path, roots)]
        problems += _problems_of(path, entries)
        if not roots and all(map(_reason_to_leave_out, entries)):
            unread.append(path)
        for entry in entries:
            if reason := _reason_to_leave_out(entry):
                left_out[entry.path] = LeftOut(path=entry.path, reason=reason, may_hold_records=_may_hold_records(entry))
            elif kind := _format_of(entry.path):
                found[entry.path] = FeedFile(
                    path=entry.path,
                    kind=kind,
                    size=entry.size or 0,
                    constants=_constants_of(entry.path),
                    encoding="" if kind == PARQUET else encoding,
                )
    if problems:
        raise ConfigurationError("cannot read the feed:\n  " + "\n  ".join(problems), next_step="correct --feed")
    return FeedFiles(
        [found[path] for path in sorted(found)],
        left_out=[left_out[path] for path in sorted(left_out.keys() - found.keys())],
        unread_paths=unread,
        tables=sorted(tables),
    )


def list_some(names: Sequence[str]) -> str:
    """The first of ``names``, for a message."""
    return ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")


def _problems_of(path: str, entries: list[_Entry]) -> Iterator[str]:
    table = next(filter(None, (find_table_of(entry.path) for entry in entries)), None)
    if table is None and any(_format_of(entry.path) == PARQUET for entry in entries):
        # A request for each folder above; below a remote path all logs are listed already.
        table = find_table_around([_fixed_part(path)] if storage.is_remote(path) else [entry.path for entry in entries])
    if table is not None:
        yield f"{path}: {table}"
    for named in (entry.path for entry in entries if not entry.relative):
        if _format_of(named) is None:
            yield f"{named}: not one of {', '.join(EXTENSIONS)} (plain or {', '.join(COMPRESSIONS)})"


def _delta_roots(path: str, entries: list[_Entry]) -> set[str]:
    """Tables of Delta that are ``path``, or lie below it."""
    base = path.replace("s3://", "s3a://", 1).rstrip("/") if storage.is_remote(path) else str(Path(path).absolute())
    tables = filter(None, (find_table_of(entry.path) for entry in entries))
    return {table.root for table in tables if table.kind == DELTA and _is_below(f"{table.root}/", {base})}


def _is_below(path: str, roots: set[str]) -> bool:
    return any(path.startswith(f"{root}/") for root in roots)


def _reason_to_leave_out(entry: _Entry) -> str | None:
    if entry.size is None:
        return "no_file"
    if any(part.startswith((".", "_")) for part in entry.relative.split("/")):
        return "hidden"
    kind = _format_of(entry.path)
    if kind is None:
        return "unknown_ending"
    return "empty" if entry.size == 0 and kind != PARQUET else None  # Parquet has no empty files: that one is damaged


def _constants_of(path: str) -> tuple[tuple[str, str], ...]:
    """Fields that folders are named by, as Hive and Spark name partitions. ``__HIVE_DEFAULT_PARTITION__`` is no value."""
    pairs = [part.partition("=") for part in path.split("/")[:-1]]
    fields = {name: unquote(value) for name, _, value in pairs if name in FEED_FIELDS and value and value != NO_VALUE}
    return tuple(fields.items())


def _may_hold_records(entry: _Entry) -> bool:
    if entry.size == 0:
        return _is_compressed(entry.path)  # what a file of no records has is a header at least
    is_marker = PurePosixPath(entry.path).name.startswith((".", "_"))
    return not is_marker or _format_of(entry.path) is not None


def _is_compressed(file: str) -> bool:
    return Path(file).suffix.lower() in COMPRESSIONS


def _format_of(file: str) -> str | None:
    name = Path(file).name.lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    return EXTENSIONS.get(Path(name).suffix)


def _local_entries(path: str) -> list[_Entry] | None:
    """None where nothing is there; an empty list for a folder without files. A path that exists is no glob."""
    is_glob = glob.has_magic(path) and not os.path.lexists(path)
    matches = sorted(glob.glob(path, recursive=True)) if is_glob else [path]
    entries: list[_Entry] = []
    for match in map(Path, matches):
        if match.is_dir():
            entries += _walk(match.absolute())
        elif match.is_file():
            entries.append(_local_entry(match.absolute(), match.name if is_glob else ""))
        else:
            return None
    return entries if matches else None


def _walk(folder: Path) -> Iterator[_Entry]:
    for place, folders, files in os.walk(folder, onerror=_refuse_folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in (*files, *links):
            file = Path(place, name)
            yield _local_entry(file, file.relative_to(folder).as_posix())


def _refuse_folder(error: OSError) -> None:
    raise ConfigurationError(
        f"cannot read the folder {error.filename}: {error.strerror}", next_step="correct --feed"
    ) from error


def _local_entry(file: Path, relative: str) -> _Entry:
    return _Entry(str(file), relative, file.stat().st_size if file.is_file() else None)


def _remote_entries(path: str) -> list[_Entry] | None:
    path = path.replace("s3://", "s3a://", 1).rstrip("/")
    filesystem, inner = storage.open_filesystem(path)
    info = filesystem.get_file_info(inner)
    if info.type == pafs.FileType.File:
        return [_Entry(path, "", info.size)]
    if info.type == pafs.FileType.Directory:
        return list(_list_remote(path))
    if not glob.has_magic(path):
        return None
    below = list(_list_remote(_fixed_part(path).rpartition("/")[0]))
    matches = [entry for entry in below if fnmatch.fnmatchcase(entry.path, path)]
    return [*matches, *_logs_of(matches, below)] or None


def _logs_of(matches: list[_Entry], below: list[_Entry]) -> Iterator[_Entry]:
    """Returns those of ``below`` that are the logs of tables which the matches lie in."""
    folders = {"/".join(parts[:end]) for match in matches for parts in [match.path.split("/")] for end in range(len(parts))}
    for entry in below:
        table = find_table_of(entry.path)
        if table is not None and table.root in folders:
            yield entry


def _fixed_part(path: str) -> str:
    """``path``, up to the first sign that means something in a glob, as S3 has it."""
    places = [path.index(sign) for sign in "*?[" if sign in path]
    return path.replace("s3://", "s3a://", 1) if not places else path[: min(places)].replace("s3://", "s3a://", 1)


def _list_remote(folder: str) -> Iterator[_Entry]:
    filesystem, inner = storage.open_filesystem(folder)
    for info in filesystem.get_file_info(pafs.FileSelector(inner, allow_not_found=True, recursive=True)):
        relative = info.path.removeprefix(inner).strip("/")
        if info.type == pafs.FileType.File and relative:
            yield _Entry(f"{folder}/{relative}", relative, info.size)
