"""Text that was decoded with the wrong character set in ways that ftfy does not look for: Arabic cp1256 and Japanese Shift-JIS.

Each mix-up has a signature that undamaged text does not have; only text with it is decoded again, strictly, and the result must
be mostly in the script that it should be in. A text for which anything does not fit stays as it is.
"""

import re
from dataclasses import dataclass

# What the bytes 80 to BF of UTF-8's continuations become in cp1256. D8 and D9, which begin Arabic letters, become two letters.
_CONTINUED = re.escape(bytes(range(0x80, 0xC0)).decode("cp1256"))
ARABIC_TWICE = f"(?:[\u0637\u0638][{_CONTINUED}]){{3}}"
# Arabic cp1256 read as Latin-1 or cp1252: words of accented letters alone. No Latin script has four of them in a row.
ACCENTED_RUN = "[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]{4}"
# Shift-JIS read as Latin-1 or cp1252: every character begins with a sign of the range 81 to 9F, three times in a row.
_HIGH_SIGNS = (
    "\u0080-\u009f\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014"
    "\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u2122"
)
SIGN_PAIRS = f"(?:[{_HIGH_SIGNS}].){{3}}"
# UTF-8 read as Shift-JIS: E3 to E9, which begin kana and ideographs, make rare ideographs, several side by side.
_RARE = "".join(bytes((lead, trail)).decode("cp932") for lead in range(0xE3, 0xEA) for trail in range(0x80, 0xC0))
RARE_IDEOGRAPHS = f"[{_RARE}].{{0,2}}[{_RARE}]"

SIGNATURE = f"{ARABIC_TWICE}|{ACCENTED_RUN}|{SIGN_PAIRS}|{RARE_IDEOGRAPHS}"

_ARABIC, _JAPANESE = "\u0621-\u064a\u0660-\u0669", "\u3041-\u30ff\u4e00-\u9fff\uff01-\uff9f"
_signature = re.compile(SIGNATURE)
_letter = re.compile(r"[^\W\d_]")
MOSTLY = 0.6


@dataclass(frozen=True)
class _Mixup:
    """Text of ``script`` in the character set ``written`` that was read as ``read``."""

    signature: re.Pattern[str]
    read: str
    written: str
    script: re.Pattern[str]


_MIXUPS = tuple(
    _Mixup(re.compile(signature), read, written, re.compile(f"[{script}]"))
    for signature, read, written, script in (
        (ARABIC_TWICE, "cp1256", "utf-8", _ARABIC),
        (ACCENTED_RUN, "sloppy-windows-1252", "cp1256", _ARABIC),
        (ACCENTED_RUN, "latin-1", "cp1256", _ARABIC),
        (SIGN_PAIRS, "sloppy-windows-1252", "cp932", _JAPANESE),
        (SIGN_PAIRS, "latin-1", "cp932", _JAPANESE),
        (RARE_IDEOGRAPHS, "cp932", "utf-8", _JAPANESE),
    )
)


def undo_mixed_charsets(text: str) -> str:
    """The text decoded as it was written, or unchanged where no mix-up fits it."""
    if not _signature.search(text):
        return text
    import ftfy.bad_codecs

    ftfy.bad_codecs.ok()  # registers the sloppy codecs: five bytes that cp1252 leaves open stay what they are
    for mixup in _MIXUPS:
        if mixup.signature.search(text):
            decoded = _decode_again(text, mixup)
            if decoded is not None:
                return decoded
    return text


def _decode_again(text: str, mixup: _Mixup) -> str | None:
    try:
        decoded = text.encode(mixup.read).decode(mixup.written)
    except UnicodeError:
        return None
    letters, before = _letter.findall(decoded), _letter.findall(text)
    # Sound text may contain a signature by chance: then its own letters, which the decoding leaves alone, are the majority.
    foreign = sum(letter.isascii() for letter in before)
    in_script = len(mixup.script.findall(decoded))
    return decoded if letters and in_script >= MOSTLY * max(len(letters), foreign) else None
