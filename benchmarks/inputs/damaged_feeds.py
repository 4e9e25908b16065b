"""Feeds in every form that people have, and damage to their bytes."""

import bz2
import csv
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq

Record = dict[str, object]
Write = Callable[[list[Record], random.Random], bytes]

SPLICES = (
    *(b"\x00", b"\xff\xfe", b'"', b"}", b"{", b"\\", b"\n", b"\r\n", b",", b"null", b'""', b'",', b'"\n'),
    *(b"\xc3", b"\xed\xa0\x80", b"[[", b"\xef\xbb\xbf", b"<", b"</item>", b"&", b"]]>"),
)
COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}
FOLDERS = ("", "a b", "x[1]{2}", "10:30", "100%20", "größe#1?", "seller=A%2FB")
NAMES = ("locale", "item_id", "language", "title", "description", "brand", "category", "bullets", "source")


def write_json_lines(records: list[Record], source: random.Random) -> bytes:
    end = source.choice((b"\n", b"\r\n"))
    return end.join(json.dumps(record, ensure_ascii=False).encode() for record in records) + source.choice((b"", end))


def write_json_array(records: list[Record], source: random.Random) -> bytes:
    return json.dumps(records, ensure_ascii=False, indent=source.choice((None, 1))).encode()


def write_json_wrapped(records: list[Record], source: random.Random) -> bytes:
    """Within an object, or within one in that."""
    wrapped: dict[str, object] = {"total": len(records), "products": records, "next": None}
    if source.random() < 0.5:
        wrapped = {"status": "ok", "data": wrapped}
    return json.dumps(wrapped, ensure_ascii=False, indent=source.choice((None, 1))).encode()


def write_json_concatenated(records: list[Record], source: random.Random) -> bytes:
    indent = source.choice((None, 2))
    return source.choice(("", " ", "\n")).join(json.dumps(record, indent=indent) for record in records).encode()


def write_csv(records: list[Record], source: random.Random) -> bytes:
    """Any dialect; texts of several lines; header names with commas and line breaks."""
    delimiter = source.choice(",;\t|")
    out = io.StringIO()
    quoting = source.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(out, delimiter=delimiter, lineterminator=source.choice(("\n", "\r\n")), quoting=quoting)
    writer.writerow([*NAMES, "price, with tax\nin EUR"])
    for record in records:
        cells = [json.dumps(record[name]) if name == "bullets" else record.get(name) or "" for name in NAMES]
        if source.random() < 0.2:
            cells[4] = f"{cells[4]}\nsecond line, of several\n"
        writer.writerow([*cells, "12,50"])
        if source.random() < 0.02:  # two files were put one behind the other
            writer.writerow([*NAMES, "price, with tax\nin EUR"])
    return out.getvalue().encode(source.choice(("utf-8", "utf-8-sig")))


def write_tabs(records: list[Record], source: random.Random) -> bytes:
    """Tabs without any quoting, as exports for shopping sites are; quotes are characters."""
    rows = [list(NAMES)]
    for record in records:
        cells = [json.dumps(record[name]) if name == "bullets" else str(record.get(name) or "") for name in NAMES]
        cells = [" ".join(cell.split()) for cell in cells]
        cells[4] = f'"so to say" {cells[4]}' if source.random() < 0.3 else cells[4]
        rows.append(cells)
    return source.choice(("\n", "\r\n")).join(map("\t".join, rows)).encode()


def write_xml(records: list[Record], source: random.Random) -> bytes:
    items = ("".join(f"<{n}>{escape(_clean(str(r[n])))}</{n}>" for n in NAMES if n != "bullets" and r.get(n)) for r in records)
    head = '<?xml version="1.0"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>'
    return (head + "\n".join(f"<item>{item}<bullets>one</bullets></item>" for item in items) + "</channel></rss>").encode()


def write_parquet(records: list[Record], source: random.Random) -> bytes:
    """Structs, lists, odd and repeated names, zoneless and nanosecond times, columns that do not matter."""
    table = pa.Table.from_pylist([{name: record.get(name) for name in NAMES} for record in records])
    kind = source.choice((pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.timestamp("ms"), pa.date32()))
    times = pa.array([datetime(2025, 1, 1, tzinfo=UTC if getattr(kind, "tz", None) else None)] * len(records))
    table = table.append_column("updated_at", times.cast(kind))
    attributes = [{"Watt": 7, "size": 1.5, "since": datetime(2024, 1, 1)}] * len(records)
    table = table.append_column("attributes", pa.array(attributes))
    table = table.append_column("a.b `c`", pa.array([[b"x"]] * len(records))).append_column("title", table["brand"])
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=source.choice((2, 100)))
    return sink.getvalue()


# Kind → ending, writer, and bytes at the start that damage spares: without them nothing of the file can be read.
KINDS: Mapping[str, tuple[str, Write, int]] = {
    "json_lines": (".jsonl", write_json_lines, 0),
    "json_array": (".json", write_json_array, 2),
    "json_concatenated": (".json", write_json_concatenated, 1),
    "json_wrapped": (".json", write_json_wrapped, 80),
    "csv": (".csv", write_csv, 140),
    "tabs": (".tsv", write_tabs, 80),
    "xml": (".xml", write_xml, 120),
    "parquet": (".parquet", write_parquet, 0),
}


def damage(data: bytes, source: random.Random, skip: int = 0) -> bytes:
    """Some mutations behind the first ``skip`` bytes; one feed in ten stays sound."""
    if source.random() < 0.1:
        return data
    for _ in range(source.randint(1, 6)):
        at = source.randrange(skip, max(skip + 1, len(data)))
        end = min(len(data), at + source.randint(1, 40))
        kind = source.randrange(6)
        if kind == 0:
            data = data[:at] + bytes([source.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + source.choice(SPLICES) + data[at:]
        elif kind == 2:
            data = data[:at] + data[end:]
        elif kind == 3:
            data = data[:end] + data[at:end] + data[end:]
        elif kind == 4:
            data = data[: max(skip, at)] if source.random() < 0.2 else data
        else:
            data = data[:at] + bytes(source.randrange(256) for _ in range(3)) + data[at:]
    return data


def write_feed(folder: Path, number: int, kind: str, records: list[Record], source: random.Random, *, damaged: bool) -> Path:
    """Writes one file, in a folder, an encoding and a compression by chance."""
    ending, write, skip = KINDS[kind]
    data = write(records, source)
    if kind != "parquet":
        data = damage(data, source, skip) if damaged else data
        if source.random() < 0.2 and kind != "json_lines":
            data = data.decode("utf-8", "replace").encode(source.choice(("utf-16", "utf-16-be")))
    codec = source.choice(("", "", "", *COMPRESS)) if kind != "parquet" else ""
    path = folder / source.choice(FOLDERS) / f"{number}{ending.upper() if source.random() < 0.2 else ending}{codec}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(COMPRESS[codec](data))
    return path


def read_text(path: Path) -> tuple[bytes, str]:
    """The decompressed bytes of a file of text, and its text."""
    data = path.read_bytes()
    openers = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}
    if path.suffix in openers:
        data = openers[path.suffix](data)
    elif path.suffix == ".zst":
        data = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return data, decode(data)


def decode(data: bytes) -> str:
    """UTF-8 or UTF-16, whatever gives text of few zeros."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[:200].count(0) > 40:
        is_big = data[:2] == b"\xfe\xff" or data[:200:2].count(0) > data[1:200:2].count(0)
        return data.decode("utf-16-be" if is_big else "utf-16-le", "replace")
    return data.decode("utf-8", "replace")


def decode_reject(data: bytes) -> str:
    """A reject's bytes as text in each encoding: some bytes alone do not tell."""
    return "\n".join(data.decode(encoding, "replace") for encoding in ("utf-8", "utf-16-le", "utf-16-be"))


def write_refused(folder: Path, source: random.Random) -> Path:
    """Writes one file of which nothing may be read: it is cut, or is something else than its name says."""
    line = b'{"locale": "DE", "item_id": "refused", "title": "a title"}\n' * 50
    sink = io.BytesIO()
    pq.write_table(pa.table({"locale": ["DE"], "item_id": ["refused"], "title": ["t"]}), sink)
    cut = {f"feed.jsonl{ending}": compress(line)[:-9] for ending, compress in COMPRESS.items() if ending}
    entity = b'<!DOCTYPE rss [<!ENTITY a "b">]><rss><channel><item><title>&a;</title></item></channel></rss>'
    others = {
        "cut.parquet": sink.getvalue()[:-20],
        "empty.parquet": b"",
        "sheet.csv": b"PK\x03\x04" + bytes(200),
        "login.json": b"<!DOCTYPE html><html></html>",
        "entities.xml": entity,
        "header.csv": b'"locale,item_id\nDE,1\n',
    }
    name, data = source.choice(sorted({**cut, **others}.items()))
    (folder / name).write_bytes(data)
    return folder / name


def _clean(text: str) -> str:
    """Characters that XML has."""
    return "".join(sign for sign in text if sign >= " " or sign in "\t\n")
