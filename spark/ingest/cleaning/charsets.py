"""Character sets that UTF-8 is read in by mistake, as tables from a character back to its byte.

Bytes that a set leaves open are read as the C1 control of the same number, as browsers do it.
"""

import re
from dataclasses import dataclass

CONTINUATIONS, LEADS_OF_2, LEADS_OF_3, LEADS_OF_4 = (0x80, 0xBF), (0xC2, 0xDF), (0xE0, 0xEF), (0xF0, 0xF4)


def decode_all(charset: str) -> str:
    """The characters of bytes 80 to FF."""
    return "".join(_decode_byte(byte, charset) for byte in range(0x80, 0x100))


def _decode_byte(byte: int, charset: str) -> str:
    try:
        return bytes((byte,)).decode(charset)
    except UnicodeDecodeError:
        return chr(byte)


@dataclass(frozen=True)
class Charset:
    """One or several sets that agree where they do not leave bytes open."""

    name: str
    byte_of: dict[str, int]
    sequences: re.Pattern[str]  # one or several characters of UTF-8, as they are read in this set

    def encode(self, text: str) -> bytes | None:
        """Bytes of a text without ASCII; None where a character is not in the set."""
        try:
            return bytes(map(self.byte_of.__getitem__, text))
        except KeyError:
            return None


def _charset(name: str, *members: str) -> Charset:
    byte_of: dict[str, int] = {}
    for member in members:
        for byte, character in enumerate(decode_all(member), start=0x80):
            byte_of.setdefault(character, byte)
    if "latin-1" in members:
        byte_of.update({chr(byte): byte for byte in range(0x80, 0xA0)})
    return Charset(name, byte_of, _sequences(byte_of))


def _sequences(byte_of: dict[str, int]) -> re.Pattern[str]:
    def characters(first: int, last: int) -> str:
        return "[" + re.escape("".join(c for c, byte in byte_of.items() if first <= byte <= last)) + "]"

    more = characters(*CONTINUATIONS)
    return re.compile(
        f"(?:{characters(*LEADS_OF_2)}{more}|{characters(*LEADS_OF_3)}{more}{more}|{characters(*LEADS_OF_4)}{more}{more}{more})+"
    )


# One table for Latin-1, cp1252 and cp1254: a feed may hold a mixture, and no character has two bytes among them.
WESTERN = _charset("western", "cp1252", "cp1254", "latin-1")
CHARSETS = (
    WESTERN,
    _charset("cp1256", "cp1256"),
    _charset("mac_roman", "mac_roman"),
    _charset("cp437", "cp437"),
    _charset("cp850", "cp850"),
)
