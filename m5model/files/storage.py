"""Files outside Spark, local or on S3: the only place that opens either.

Paths are plain local paths or ``s3a://BUCKET/KEY``. S3 credentials, region and endpoint come from the usual AWS
environment variables; ``AWS_ENDPOINT_URL`` selects an S3-compatible server.
"""

import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from schemas.errors import ConfigurationError
from schemas.space import sha256_hex


def is_remote(path: str) -> bool:
    return "://" in path


def open_filesystem(path: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem that holds ``path``, and the path as that filesystem names it."""
    if not is_remote(path):
        return pafs.LocalFileSystem(), path
    scheme, _, rest = path.partition("://")
    if scheme not in ("s3", "s3a"):
        raise ConfigurationError(f"cannot open {path}: scheme {scheme!r}", next_step="give a local path or s3a://BUCKET/KEY")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return pafs.S3FileSystem(region=_region()), rest
    parts = urlsplit(endpoint)
    return pafs.S3FileSystem(endpoint_override=parts.netloc, scheme=parts.scheme, region=_region()), rest


def exists(path: str) -> bool:
    filesystem, inner = open_filesystem(path)
    return filesystem.get_file_info(inner).type != pafs.FileType.NotFound


def read_bytes(path: str) -> bytes:
    """The whole file. Raises FileNotFoundError where there is none."""
    filesystem, inner = open_filesystem(path)
    with filesystem.open_input_stream(inner) as stream:
        return bytes(stream.read())


def read_first_line(path: str) -> bytes:
    """The first line of a file, decompressed by its extension; empty where the file is."""
    filesystem, inner = open_filesystem(path)
    with filesystem.open_input_stream(inner, compression="detect") as stream:
        return bytes(stream.read(1 << 16)).partition(b"\n")[0]


def write_bytes(path: str, data: bytes | memoryview) -> None:
    """Write or replace the file in one step: a reader sees the old or the new content, never a part."""
    filesystem, inner = open_filesystem(path)
    if is_remote(path):
        with filesystem.open_output_stream(inner) as stream:
            stream.write(data)
        return
    target = Path(inner)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.partial")
    partial.write_bytes(data)
    os.replace(partial, target)


def write_new(path: str, data: bytes) -> bool:
    """Create the file only if there is none (conditional PUT on S3). False where it existed already."""
    if is_remote(path):
        return _put_if_absent(path, data)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.partial")
    partial.write_bytes(data)
    try:
        os.link(partial, target)  # fails where the name is taken, and is atomic where it is not
    except FileExistsError:
        return False
    finally:
        partial.unlink()
    return True


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


def file_sizes(paths: Sequence[str]) -> list[int]:
    """Bytes of each file as it is stored."""
    sizes: dict[str, int] = {}
    for group in ([path for path in paths if is_remote(path)], [path for path in paths if not is_remote(path)]):
        if group:
            filesystem, _ = open_filesystem(group[0])
            found = filesystem.get_file_info([path.partition("://")[2] or path for path in group])
            sizes |= {path: info.size for path, info in zip(group, found, strict=True)}
    return [sizes[path] for path in paths]


def upload_folder(local: Path, path: str) -> None:
    """Copy every file below ``local`` to ``path``, manifest.json last: what has a manifest is whole."""
    names = [str(file.relative_to(local)) for file in sorted(local.rglob("*")) if file.is_file()]
    for name in sorted(names, key=lambda name: name == "manifest.json"):
        write_bytes(f"{path}/{name}", (local / name).read_bytes())


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
    staging.rename(path)
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


def local_copy(path: str, files: Mapping[str, str], cache: Path | None = None) -> Path:
    """A local folder with ``files`` (relative path → SHA-256): ``path`` itself where it is local, else a checked copy.

    The copy's place is named by the hashes, so that it is made once and can never be stale. Raises ConfigurationError
    where a remote file's bytes are not the ones expected.
    """
    if not is_remote(path):
        return Path(path)
    cache = cache or Path(os.environ.get("M5_CACHE") or Path.home() / ".cache" / "m5")
    name = sha256_hex("\n".join(f"{k} {v}" for k, v in sorted(files.items())).encode())[:24]
    target = cache / name
    if target.exists():
        return target
    partial = cache / f".{name}.{os.getpid()}.partial"
    for file, expected in files.items():
        data = read_bytes(f"{path}/{file}")
        if sha256_hex(data) != expected:
            raise ConfigurationError(
                f"{path}/{file} is damaged: SHA-256 {sha256_hex(data)[:12]}…, expected {expected[:12]}…",
                next_step="restore the file from a backup, or make it again with the job that wrote it",
            )
        (partial / file).parent.mkdir(parents=True, exist_ok=True)
        (partial / file).write_bytes(data)
    try:
        partial.rename(target)
    except OSError:  # another process was first; its copy has the same bytes
        shutil.rmtree(partial)
    return target


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _put_if_absent(path: str, data: bytes) -> bool:
    import boto3
    from botocore.exceptions import ClientError

    parts = urlsplit(path)
    client = boto3.client("s3", region_name=_region())
    try:
        client.put_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"), Body=data, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
            return False
        raise
    return True
