"""Opens plain and compressed files as streams of bytes, within declared limits."""

import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa

from m5model.files import storage
from schemas.errors import BadDataError, ConfigurationError, M5Error

# Ending → codec.
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
# A file begins with these bytes, whatever its name is.
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz"}

MAGIC_BYTES = max(map(len, MAGIC))

BLOCK_BYTES = 1 << 20
# Catalogues shrink to a twentieth or so. What grows beyond both is no catalogue.
MAX_GROWTH = 500
FREE_BYTES = 1 << 30


class ByteStream(Protocol):
    """Gives bytes in order; none at its end."""

    def read(self, size: int, /) -> bytes: ...


def cannot_read(file: str, error: Exception) -> M5Error:
    """The error for a file that may not be read, or is damaged."""
    first = next(iter(str(error).splitlines()), type(error).__name__)
    if isinstance(error, PermissionError):
        return ConfigurationError(f"{file} may not be read: {first}", next_step="let this user read the feed")
    if isinstance(error, FileNotFoundError):
        return BadDataError(f"{file} is gone: {first}", next_step="start again when the feed is whole")
    return BadDataError(f"{file} cannot be read: {first}", next_step="have the file written anew, or leave it out of --feed")


def find_codec(head: bytes) -> str | None:
    """The codec of a file that begins with ``head``; None where it is not compressed."""
    return next((codec for magic, codec in MAGIC.items() if head.startswith(magic)), None)


@contextmanager
def open_stream(path: str) -> Iterator[tuple[ByteStream, str | None]]:
    """The file's bytes, decompressed, and the codec that they were compressed by, which its first bytes tell.

    Raises BadDataError naming a file that is damaged, cut, or grows beyond all measure, ConfigurationError for one that may not
    be read.
    """
    filesystem, inner = storage.open_filesystem(path)
    codec = None
    try:
        with filesystem.open_input_stream(inner, compression=None) as stored:
            begun = _Begun(stored)
            codec = find_codec(begun.head)
            if codec is None:
                yield begun, None
            else:
                stream = _XzStream(begun) if codec == "xz" else pa.CompressedInputStream(pa.PythonFile(begun, "r"), codec)
                yield _Limited(stream, path, storage.file_sizes([path])[0]), codec
    except (pa.ArrowException, OSError, EOFError, lzma.LZMAError) as error:
        if codec is None or isinstance(error, PermissionError | FileNotFoundError):
            raise cannot_read(path, error) from error
        raise BadDataError(f"{path} cannot be read to its end: {error}", next_step="compress the file anew") from error


class _Begun:
    """A stream of which the first bytes have been looked at."""

    closed = False

    def __init__(self, stream: ByteStream) -> None:
        self.head = bytes(stream.read(MAGIC_BYTES))
        self._stream, self._waiting = stream, self.head

    def read(self, size: int, /) -> bytes:
        if self._waiting:
            data, self._waiting = self._waiting[:size], self._waiting[size:]
            return data
        return bytes(self._stream.read(size))

    def close(self) -> None:
        """Whoever opened the stream closes it."""


class _Limited:
    """Stops where a compressed file grows beyond all measure."""

    def __init__(self, stream: ByteStream, path: str, stored: int) -> None:
        self._stream, self._path = stream, path
        self._stored, self._read = stored, 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._read += len(data)
        if self._read > max(FREE_BYTES, MAX_GROWTH * self._stored):
            raise BadDataError(
                f"{self._path} grew to more than {self._read:,} bytes from {self._stored:,} compressed ones: at most "
                f"{MAX_GROWTH} times as many are read, or {FREE_BYTES:,}",
                next_step="give the file decompressed if it is sound",
            )
        return bytes(data)


class _XzStream:
    """One or several streams of xz, one behind the other."""

    def __init__(self, stored: ByteStream) -> None:
        self._stored, self._decompressor = stored, lzma.LZMADecompressor()
        self._waiting = b""

    def read(self, size: int, /) -> bytes:
        while True:
            if self._decompressor.eof:
                self._waiting = (self._decompressor.unused_data or self._stored.read(BLOCK_BYTES)).lstrip(b"\x00")
                if not self._waiting:
                    return b""
                self._decompressor = lzma.LZMADecompressor()
            if self._decompressor.needs_input and not self._waiting:
                self._waiting = self._stored.read(BLOCK_BYTES)
                if not self._waiting:
                    raise EOFError("the compressed stream is cut")
            data = self._decompressor.decompress(self._waiting, size)
            self._waiting = b""
            if data:
                return data
