"""Opens a file of text as UTF-8, plain or compressed, UTF-8 or UTF-16, and counts the bytes that it has."""

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager

from m5model.feeds.blocks import BYTES, DECOMPRESSED
from m5model.feeds.charsets import CHARSETS, Finding, sniff_charset
from m5model.feeds.compression import BLOCK_BYTES, ByteStream, cannot_read, open_stream
from m5model.files import storage
from schemas.errors import BadDataError

HEAD_BYTES = 256 << 10  # looked at to know what a file is
UTF_16_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
UTF_8_MARK = codecs.BOM_UTF8
UTF_32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_SHIFTS = re.compile(rb"\x1b\$[@B]")  # of ISO-2022-JP to its two-byte characters
MIN_SHIFTS = 2  # one may be damage


class TextFile:
    """A file's text from its first byte on, as UTF-8. Bytes that are no UTF-8 stay as they are."""

    def __init__(self, stream: ByteStream, path: str, *, unit: str, encoding: str = "", sniff: bool = False) -> None:
        self.path, self.unit = path, unit
        self._declared, self._sniffs = encoding, sniff
        self.total = 0  # bytes that came out of the file
        self.mark_bytes = 0  # of a mark of UTF-16 at the start; a mark of UTF-8 stays in the text
        self._stream = stream
        self._decoder: codecs.IncrementalDecoder | None = None
        self.encoding = "utf-8"
        self.notes: list[str] = []  # how the file is read, where that is not plain
        self.head = self._read_head()  # the first bytes of the text; ``blocks`` begins with them

    def note(self, what: str) -> None:
        """Keeps what the file's account is to say of how it was read."""
        if what not in self.notes:
            self.notes.append(what)

    def blocks(self) -> Iterator[bytes]:
        """The whole text."""
        if self.head:
            yield self.head
        while data := self._read(BLOCK_BYTES):
            yield data

    def measure(self, text: bytes) -> int:
        """Bytes that ``text`` takes in the file."""
        return len(text) if self._decoder is None else len(self.restore(text))

    def restore(self, text: bytes) -> bytes:
        """``text`` as the file has it."""
        if self._decoder is None:
            return text
        return text.decode("utf-8", "surrogatepass").encode(self.encoding, self._errors)

    def _read_head(self) -> bytes:
        head = self._fill(b"", HEAD_BYTES)
        encoding = self._find_encoding(head)
        if encoding == "utf-8":
            return head
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(self._errors)
        self.mark_bytes = 2 if head[:2] in UTF_16_MARKS and encoding in UTF_16_MARKS.values() else 0
        return self._decode(head[self.mark_bytes :])

    @property
    def _errors(self) -> str:
        """Bytes that a character set does not have become halves of surrogate pairs, from which they are made again."""
        return "surrogatepass" if self.encoding in UTF_16_MARKS.values() else "surrogateescape"

    def _find_encoding(self, head: bytes) -> str:
        """Returns what its mark says, else what is declared, else what its bytes are sure of."""
        refuse_other_unicode(self.path, head)
        marked = find_utf_16(head)
        if marked is not None:
            return marked
        if self._declared and not head.startswith(UTF_8_MARK):
            self.note(self._declared)
            return {"utf-16": "utf-16-le"}.get(self._declared, self._declared)
        found = sniff_charset(head) if self._sniffs else None
        if found is None:
            return "utf-8"
        if not found.charset:
            raise _unsure_charset(self.path, found)
        self.note(f"{found.charset}, as its bytes say")
        return CHARSETS[found.charset]

    def _fill(self, data: bytes, size: int) -> bytes:
        parts = [data]
        while size > 0 and (part := self._stream.read(size)):
            parts.append(part)
            size -= len(part)
            self.total += len(part)
        return b"".join(parts)

    def _read(self, size: int) -> bytes:
        while data := self._stream.read(size):
            self.total += len(data)
            if self._decoder is None:
                return data
            if text := self._decode(data):
                return text
        if self._decoder is not None and self._decoder.getstate()[0]:
            raise BadDataError(f"{self.path} ends within a character", next_step="have the file written anew")
        return b""

    def _decode(self, data: bytes) -> bytes:
        if self._decoder is None:
            raise ValueError("the file is UTF-8")
        return self._decoder.decode(data).encode("utf-8", "surrogatepass")


def refuse_other_unicode(path: str, head: bytes) -> None:
    """Raises BadDataError for what is read neither as bytes nor as UTF-16: its characters would come in as others."""
    found = "UTF-32" if head.startswith(UTF_32_MARKS) else "ISO-2022-JP" if len(_SHIFTS.findall(head)) >= MIN_SHIFTS else ""
    if found:
        advice = f"write it as UTF-8, e.g. iconv -f {found} -t UTF-8 FILE"
        raise BadDataError(f"{path} looks like {found}, which is not read", next_step=advice)


def _unsure_charset(path: str, found: Finding) -> BadDataError:
    names = [name for name, _ in found.proposals]
    shown = "; ".join(f"{name} would read {', '.join(words)}" for name, words in found.proposals)
    return BadDataError(
        f"{path} is neither UTF-8 nor UTF-16, and its bytes do not say what else: {shown}",
        next_step=f"say so with --encoding, e.g. --encoding {names[0]}, or have the file written as UTF-8",
    )


@contextmanager
def open_text(path: str, encoding: str = "", *, sniff: bool = False) -> Iterator[TextFile]:
    """Opens a file whose ``encoding`` is a codec, UTF-8 or UTF-16; or, if asked to ``sniff``, one that its bytes are sure of.

    Raises BadDataError naming a file that cannot be read, ConfigurationError for one that may not.
    """
    with open_stream(path) as (stream, codec):
        yield TextFile(stream, path, unit=BYTES if codec is None else DECOMPRESSED, encoding=encoding, sniff=sniff)


@contextmanager
def open_at(path: str, at: int) -> Iterator[ByteStream]:
    """The bytes of a file that is not compressed from ``at`` on."""
    filesystem, inner = storage.open_filesystem(path)
    try:
        with filesystem.open_input_file(inner) as file:
            file.seek(at)
            yield file
    except OSError as error:
        raise cannot_read(path, error) from error


def find_utf_16(head: bytes) -> str | None:
    """The encoding of a text that begins with ``head``, where it is UTF-16, with or without a mark."""
    # Text of a feed in UTF-16 has zeros; without any, the mark is damage.
    if (marked := UTF_16_MARKS.get(head[:2])) is not None and (0 in head[2:200] or len(head) == 2):
        return marked
    # Without a mark: a feed begins with characters of which every other byte is zero (a quote, a bracket, a Latin letter).
    start = head[:200]
    for encoding, zeros, others in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        if zeros[:2] == b"\x00\x00" and b"\x00" not in others[:2] and zeros.count(0) > 2 * others.count(0):
            return encoding
    return None
