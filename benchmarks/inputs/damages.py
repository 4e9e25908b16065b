"""Ways in which feeds damage text: those that can be undone, and those that lose letters."""

import html
import quopri
import re
from collections.abc import Callable
from dataclasses import dataclass
from html.entities import codepoint2name
from urllib.parse import quote

import ftfy.bad_codecs

ftfy.bad_codecs.ok()  # registers sloppy-windows-1252 and its sisters, which read bytes as browsers do

ALL = ("ar", "de", "en", "es", "fr", "it", "ja", "nl", "pt", "tr")
LATIN = tuple(language for language in ALL if language not in ("ar", "ja"))


@dataclass(frozen=True, kw_only=True)
class Damage:
    """``apply`` returns None where a text cannot be damaged so."""

    name: str
    apply: Callable[[str], str | None]
    languages: tuple[str, ...] = ALL
    can_be_undone: bool = True


def read_as(written: str, read: str, times: int = 1) -> Callable[[str], str | None]:
    """Text in one character set, read as another; the second time it is UTF-8 that is read so."""

    def damage(text: str) -> str | None:
        try:
            for time in range(times):
                text = text.encode("utf-8" if time else written).decode(read)
        except UnicodeError:
            return None
        return text

    return damage


def then(damage: Callable[[str], str | None], more: Callable[[str], str]) -> Callable[[str], str | None]:
    def both(text: str) -> str | None:
        damaged = damage(text)
        return None if damaged is None else more(damaged)

    return both


def _blanks(text: str) -> str:
    return text.replace("\u00a0", " ")


def _escape_html_twice(text: str) -> str | None:
    named = "".join(f"&{codepoint2name[ord(c)]};" if ord(c) in codepoint2name and c not in "'" else c for c in text)
    return html.escape(named, quote=False)


def _tag_inside_words(text: str) -> str | None:
    return re.sub(r"(?<=[^\W\d_]{2})([^\W\d_]{2})", r"<b>\1</b>", text, count=2)


def _quoted_printable(text: str) -> str | None:
    return None if text.isascii() else quopri.encodestring(text.encode()).decode().replace("=\n", "")


def _percent(text: str) -> str | None:
    return quote(text, safe="") if " " in text or not text.isascii() else None


def _each_letter(mark: str) -> Callable[[str], str | None]:
    return lambda text: re.sub("[^\\x00-\\x7f]", mark, text)


def _lose(read: str, errors: str) -> Callable[[str], str | None]:
    """Bytes that the set leaves open are dropped or replaced; None where there are none, for then nothing is lost."""

    def damage(text: str) -> str | None:
        lossy = text.encode().decode(read, errors=errors)
        return None if lossy == text.encode().decode("sloppy-windows-1252") else lossy

    return damage


UTF8_READ_AS = {
    "cp1252": "sloppy-windows-1252",
    "cp1252 (strict)": "cp1252",
    "Latin-1": "latin-1",
    "cp1254": "cp1254",
    "cp1256": "cp1256",
    "Mac Roman": "mac_roman",
    "cp437": "cp437",
    "cp850": "cp850",
}
_OTHERS = (
    ("Shift-JIS", "cp932", ("ja",)),
    ("EUC-JP", "euc_jp", ("ja",)),
    ("ISO 8859-6", "iso8859_6", ("ar",)),
    ("cp1256", "cp1256", ("ar",)),
)

DAMAGES = (
    *(
        Damage(name=f"UTF-8 as {name}{', twice' if times == 2 else ''}", apply=read_as("utf-8", read, times))
        for name, read in UTF8_READ_AS.items()
        for times in (1, 2)
    ),
    *(
        Damage(
            name=f"UTF-8 as {name}{', twice' if times == 2 else ''}, plain blanks",
            apply=then(read_as("utf-8", UTF8_READ_AS[name], times), _blanks),
        )
        for name in ("cp1252", "Latin-1")
        for times in (1, 2)
    ),
    Damage(name="UTF-8 as Shift-JIS", apply=read_as("utf-8", "cp932"), languages=("ja",)),
    *(
        Damage(
            name=f"{name} as {read}{', twice' if times == 2 else ''}",
            apply=read_as(written, UTF8_READ_AS[read], times),
            languages=languages,
        )
        for name, written, languages in _OTHERS
        for read in ("cp1252", "Latin-1")
        for times in (1, 2)
    ),
    Damage(name="cp1252 as Latin-1 (C1 controls)", apply=read_as("cp1252", "latin-1"), languages=LATIN),
    Damage(name="HTML escaped twice", apply=_escape_html_twice, languages=LATIN),
    Damage(name="tags inside words", apply=_tag_inside_words),
    Damage(name="quoted-printable", apply=_quoted_printable),
    Damage(name="%-escapes", apply=_percent),
    Damage(name="? for letters", apply=_each_letter("?"), can_be_undone=False),
    Damage(name="U+FFFD for letters", apply=_each_letter("\ufffd"), can_be_undone=False),
    Damage(name="U+FFFD as cp1252", apply=_each_letter("ï¿½"), can_be_undone=False),
    Damage(name="UTF-8 as cp1252, open bytes dropped", apply=_lose("cp1252", "ignore"), can_be_undone=False),
    Damage(name="UTF-8 as cp1252, open bytes replaced", apply=_lose("cp1252", "replace"), can_be_undone=False),
)
