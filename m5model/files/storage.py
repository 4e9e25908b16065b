"""Files outside Spark, local or on S3: the only place that opens either.

Paths are plain local paths or ``s3a://BUCKET/KEY``; m5model.files.s3 says how S3 is reached.
"""

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow.fs as pafs

from m5model.files import s3
from schemas.errors import ConfigurationError

# Large files are copied and hashed in blocks of this size.
BLOCK_BYTES = 1 << 22


def is_remote(path: str) -> bool:
    return "://" in path


def open_filesystem(path: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem that holds ``path``, and the path as that filesystem names it."""
    if not is_remote(path):
        return pafs.LocalFileSystem(), path
    scheme, _, rest = path.partition("://")
    if scheme not in s3.SCHEMES:
        raise ConfigurationError(f"cannot open {path}: scheme {scheme!r}", next_step="give a local path or s3a://BUCKET/KEY")
    return s3.open_s3(), rest


def exists(path: str) -> bool:
    filesystem, inner = open_filesystem(path)
    return filesystem.get_file_info(inner).type != pafs.FileType.NotFound


def read_bytes(path: str) -> bytes:
    """The whole file. Raises FileNotFoundError where there is none."""
    filesystem, inner = open_filesystem(path)
    with filesystem.open_input_stream(inner) as stream:
        return bytes(stream.read())


def open_input(path: str) -> BinaryIO:
    """The file's bytes as a stream, to be closed by ``with``. Raises FileNotFoundError where there is none."""
    if not is_remote(path):
        return Path(path).open("rb")
    filesystem, inner = open_filesystem(path)
    return cast(BinaryIO, filesystem.open_input_stream(inner))


@contextmanager
def open_output(path: str, content_type: str | None = None) -> Iterator[BinaryIO]:
    """A stream whose bytes become the file when the block ends well: a reader sees the old or the new content, never a part.

    Where the block fails (a full disk), the old content stays and nothing half-written is left. ``content_type`` is what an
    object store tells browsers; a local file has none.
    """
    if is_remote(path):
        with _remote_output(path, content_type) as stream:
            yield stream
        return
    target = Path(path)
    with _partial_file(target) as partial:
        with partial.open("wb") as stream:
            yield stream
        os.replace(partial, target)


def write_bytes(path: str, data: bytes | memoryview, content_type: str | None = None) -> None:
    """Write or replace the file in one step."""
    with open_output(path, content_type) as stream:
        stream.write(data)


def write_new(path: str, data: bytes) -> bool:
    """Create the file only if there is none (conditional PUT on S3). False where it existed already."""
    if is_remote(path):
        return s3.put_if_absent(path, data)
    target = Path(path)
    with _partial_file(target) as partial:
        partial.write_bytes(data)
        try:
            os.link(partial, target)  # fails where the name is taken, and is atomic where it is not
        except FileExistsError:
            return False
    return True


@contextmanager
def _partial_file(target: Path) -> Iterator[Path]:
    """A name beside ``target`` that nothing else uses and that is gone in the end, whatever happens."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _remote_output(path: str, content_type: str | None) -> Iterator[BinaryIO]:
    """An object is there once its stream is closed; Arrow has no way to give one up, so half of one is deleted."""
    filesystem, inner = open_filesystem(path)
    stream = filesystem.open_output_stream(inner, metadata={"Content-Type": content_type} if content_type else None)
    try:
        yield cast(BinaryIO, stream)
    except BaseException:
        stream.close()
        filesystem.delete_file(inner)
        raise
    stream.close()


def list_folders(path: str) -> list[str]:
    """Names of the folders directly under ``path``, sorted; empty where there is no such path."""
    filesystem, inner = open_filesystem(path)
    entries = filesystem.get_file_info(pafs.FileSelector(inner, allow_not_found=True))
    return sorted(entry.base_name for entry in entries if entry.type == pafs.FileType.Directory)


def list_files(path: str) -> list[str]:
    """Paths of all files below ``path``, relative to it, sorted."""
    filesystem, inner = open_filesystem(path)
    entries = filesystem.get_file_info(pafs.FileSelector(inner, allow_not_found=True, recursive=True))
    return sorted(entry.path[len(inner) :].lstrip("/") for entry in entries if entry.type == pafs.FileType.File)


def get_infos(paths: Sequence[str]) -> list[pafs.FileInfo]:
    """Type and size of each path, asked for together. All lie on one filesystem."""
    if not paths:
        return []
    filesystem, _ = open_filesystem(paths[0])
    return filesystem.get_file_info([path.partition("://")[2] or path for path in paths])


def file_sizes(paths: Sequence[str]) -> list[int]:
    """Bytes of each file as it is stored."""
    sizes: dict[str, int] = {}
    for group in ([path for path in paths if is_remote(path)], [path for path in paths if not is_remote(path)]):
        sizes |= {path: info.size for path, info in zip(group, get_infos(group), strict=True)}
    return [sizes[path] for path in paths]


def upload_folder(local: Path, path: str) -> None:
    """Copy every file below ``local`` to ``path``, manifest.json last: what has a manifest is whole."""
    names = [str(file.relative_to(local)) for file in sorted(local.rglob("*")) if file.is_file()]
    for name in sorted(names, key=lambda name: name == "manifest.json"):
        with (local / name).open("rb") as source, open_output(f"{path}/{name}") as target:
            shutil.copyfileobj(source, target, BLOCK_BYTES)


def place_folder(staging: Path, path: str) -> bool:
    """Bring a finished local folder to ``path`` in one step. False where a whole one (with manifest.json) is there already.

    On one local filesystem this is a rename; to S3 an upload with the manifest last.
    """
    if exists(f"{path}/manifest.json"):
        return False
    if is_remote(path):
        upload_folder(staging, path)
        return True
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    delete_folder(path)  # without a manifest it is what a killed job left
    try:
        staging.rename(path)
    except OSError:
        if not exists(f"{path}/manifest.json"):  # else another process was first
            raise
        return False
    return True


def move_file(source: str, target: str) -> None:
    """Move a file within one filesystem: a rename, on S3 a copy on the server."""
    filesystem, inner = open_filesystem(source)
    place = open_filesystem(target)[1]
    if not is_remote(target):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
    filesystem.move(inner, place)


def delete_file(path: str) -> None:
    """Delete the file; nothing happens where there is none."""
    filesystem, inner = open_filesystem(path)
    if filesystem.get_file_info(inner).type == pafs.FileType.File:
        filesystem.delete_file(inner)


def delete_folder(path: str) -> None:
    """Delete ``path`` with all that is below it; nothing happens where there is none."""
    filesystem, inner = open_filesystem(path)
    if filesystem.get_file_info(inner).type != pafs.FileType.Directory:
        return
    if is_remote(path):
        # Some S3 servers refuse the marker of a folder that holds anything yet, and a request deletes in any order.
        for folder in _folders_from_the_deepest(filesystem, inner):
            filesystem.delete_dir_contents(folder)
    filesystem.delete_dir(inner)


def _folders_from_the_deepest(filesystem: pafs.FileSystem, inner: str) -> list[str]:
    """``inner`` and the folders below it, each before the one that it is in, and its marker therefore after its contents."""
    below = filesystem.get_file_info(pafs.FileSelector(inner, recursive=True))
    return sorted([inner, *(entry.path for entry in below if entry.type == pafs.FileType.Directory)], reverse=True)
