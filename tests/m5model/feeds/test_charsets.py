"""Files in other character sets than UTF-8: declared, or known by their bytes where these leave no doubt."""

import csv
import io
import json
from pathlib import Path

import pytest

from m5model.feeds.charsets import CHARSETS, find_codec_of, sniff_charset
from m5model.feeds.opening import TextFile
from m5model.feeds.sources import find_feed_files
from m5model.feeds.splits import _cut, read_split
from schemas.errors import BadDataError, ConfigurationError

GERMAN = ["Größe für Füße", "Käse, höher", "Übung für Mädchen", "weiße Blüte", "schöne Gläser", "Tür und Schlüssel"]
TEXTS = {
    "cp1252": [*GERMAN, "crème brûlée à la façon", "niños y señoras"],
    "iso-8859-1": GERMAN,
    "cp1254": ["küçük şişe", "ağaç kaşık", "yağlı boya", "ışıklı çanta", "İnce güneş gözlüğü"],
    "cp1256": ["هاتف ذكي جديد", "حقيبة يد نسائية", "ساعة رجالية", "سماعات لاسلكية"],
    "iso-8859-6": ["هاتف ذكي جديد", "حقيبة يد نسائية", "ساعة رجالية", "سماعات لاسلكية"],
    "shift-jis": ["日本酒の飲み比べセット", "おいしいお茶", "純米大吟醸です", "カメラのレンズ"],
    "euc-jp": ["日本酒の飲み比べセット", "おいしいお茶", "純米大吟醸です", "カメラのレンズ"],
}


def _csv(texts: list[str]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["item_id", "title"])
    writer.writerows([[str(i), text] for i, text in enumerate(texts)])
    return out.getvalue()


def _read(path: Path, data: bytes, encoding: str = "") -> tuple[list[str], list[bytes], str]:
    """Titles, damaged records, and how the file was read; its account must close."""
    path.write_bytes(data)
    (file,) = find_feed_files([str(path)], encoding=encoding).files
    blocks = [block for split, _ in _cut(file, max(1, len(data) // 4)) for block in read_split(split)]
    assert sum(block.total for block in blocks) == sum(sum(b.sizes) + sum(b.other.values()) for b in blocks) == len(data)
    titles = [json.loads(r)["title"] for b in blocks for i, r in enumerate(b.records) if i not in b.damage]
    damaged = [r for b in blocks for i, r in enumerate(b.records) if i in b.damage]
    return titles, damaged, "".join(block.read_as for block in blocks)


@pytest.mark.parametrize("charset", TEXTS)
def test_a_character_set_is_known_by_its_bytes_or_by_what_is_declared(tmp_path: Path, charset: str) -> None:
    texts, codec = TEXTS[charset], find_codec_of(charset)
    data = _csv(texts).encode(codec)
    titles, damaged, read_as = _read(tmp_path / "a.csv", data)
    assert (titles, damaged) == (texts, [])
    assert read_as.endswith(", as its bytes say")
    lines = "".join(json.dumps({"title": text}, ensure_ascii=False) + "\n" for text in texts).encode(codec)
    for name, content in (("b.csv", data), ("c.jsonl", lines), ("d.json", b"[" + lines.replace(b"}\n", b"},") + b"]")):
        assert _read(tmp_path / name, content, codec) == (texts, [], codec)


@pytest.mark.parametrize("charset", sorted(name for name in CHARSETS if not name.startswith("utf")))
def test_each_character_takes_as_many_bytes_in_the_account_as_in_the_file(charset: str) -> None:
    codec = CHARSETS[charset]
    leads = [bytes((lead,)) for lead in range(256)]
    units = [*leads, *((lead + bytes((more,))) for lead in leads[128:] for more in range(64, 256))]
    for unit in units:
        try:
            if len(unit.decode(codec)) != 1:
                continue
        except UnicodeDecodeError:
            continue
        text = TextFile(io.BytesIO(unit), "a.csv", unit="bytes", encoding=codec)
        assert text.measure(text.head) == len(unit), (unit, charset)


def test_bytes_that_a_character_set_lacks_make_a_reject_that_has_them(tmp_path: Path) -> None:
    data = b"item_id,title\n1,caf\xe9\n2,bad \x81 byte\n"
    assert _read(tmp_path / "a.csv", data, "cp1252") == (["café"], [b"2,bad \x81 byte"], "cp1252")


def test_where_readings_differ_the_file_is_refused_with_a_proposal(tmp_path: Path) -> None:
    polish = ["żółta łódź", "ćwiczenie dla chłopców", "źródło wody", "mąka pszenna", "gęś pieczona", "świeże śliwki"] * 8
    with pytest.raises(BadDataError, match=r"a\.csv is neither UTF-8 nor UTF-16(?s:.*)--encoding"):
        _read(tmp_path / "a.csv", _csv(polish).encode("cp1250"))
    assert _read(tmp_path / "a.csv", _csv(polish).encode("cp1250"), "cp1250")[0] == polish
    assert not {
        name for name in ("cp1252", "cp850") if (found := sniff_charset("½ Zoll\n".encode("cp1252") * 20)) and found.charset
    }


def test_damage_is_no_character_set(tmp_path: Path) -> None:
    sound = _csv(["Größe für Füße, schön"] * 30).encode()
    assert sniff_charset(sound.replace(b"\xc3\xb6", b"\xf6", 6)) is None
    assert sniff_charset(_csv(["plain text"] * 50).encode().replace(b"plain", b"pl\xfe\xffin", 3)) is None
    assert sniff_charset(b"") is None


def test_a_mark_is_worth_more_than_a_declaration(tmp_path: Path) -> None:
    for codec in ("utf-8-sig", "utf-16"):
        assert _read(tmp_path / f"{codec}.csv", _csv(GERMAN).encode(codec), "cp1252")[0] == GERMAN


def test_common_spellings_are_understood_and_others_refused() -> None:
    spellings = {
        "Windows-1252": "cp1252",
        "latin1": "iso8859-1",
        "ISO-8859-15": "iso8859-15",
        "Shift_JIS": "cp932",
        "UTF8": "utf-8",
    }
    assert {name: find_codec_of(name) for name in spellings} == spellings
    with pytest.raises(ConfigurationError, match="there is no encoding 'cp99'(?s:.*)cp1252"):
        find_codec_of("cp99")


@pytest.mark.parametrize(("codec", "name"), [("utf-32", "UTF-32"), ("iso2022_jp", "ISO-2022-JP")])
def test_what_would_come_in_as_other_characters_is_refused(tmp_path: Path, codec: str, name: str) -> None:
    with pytest.raises(BadDataError, match=f"looks like {name}(?s:.)*iconv -f {name} -t UTF-8"):
        _read(tmp_path / "a.csv", _csv(TEXTS["shift-jis"]).encode(codec))
