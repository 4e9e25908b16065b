"""Tells what a file is by its first bytes: JSON Lines or other JSON, and what is no feed at all."""

from m5model.feeds.json_values import count_objects
from m5model.feeds.opening import UTF_8_MARK
from m5model.feeds.sources import CSV, XML, FeedFile
from schemas.errors import BadDataError

# First bytes → what a file looks like, and what to do with it.
OTHERS = {
    b"PK\x03\x04": ("a ZIP archive (or an Excel workbook)", "unpack it, or save the sheet as CSV"),
    b"PAR1": ("Parquet", "name it .parquet"),
    b"ORC": ("ORC", "write it as Parquet"),
    b"Obj\x01": ("Avro", "write it as Parquet"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save its sheet as CSV"),
    b"SQLite format 3": ("an SQLite database", "write its table as CSV"),
    b"%PDF": ("a PDF", "give the data itself"),
}
# A CSV may begin with a bracket, too.
BEGINNINGS_OF_JSON = {CSV: (b'{"', b'[{"', b"[\n{"), XML: (b"{", b"[")}
SAMPLE_LINES = 100


def is_json_lines(head: bytes) -> bool:
    """Is JSON that begins with ``head`` one object a line? It is where that reads more records, or as many."""
    lines = head.split(b"\n")[:SAMPLE_LINES]
    by_line = sum(map(_is_record, lines))
    filled = sum(1 for line in lines if line.strip())
    if not head.lstrip(UTF_8_MARK + b" \t\r\n").startswith(b"["):
        return 2 * by_line >= filled or by_line >= count_objects(b"\n".join(lines))
    # The lines of an array end in a comma, all but one.
    return by_line > 1


def refuse_other_form(head: bytes, file: FeedFile) -> None:
    """Raises BadDataError for a file that surely is of another form than its name says."""
    looks_like, advice = next((what for magic, what in OTHERS.items() if head.startswith(magic)), ("", ""))
    begun = head.lstrip(UTF_8_MARK + b" \t\r\n")[:200].lower()
    if not looks_like and begun.startswith((b"<!doctype html", b"<html")):
        looks_like, advice = "a page of HTML, maybe a login or an error", "fetch the feed anew"
    elif not looks_like and file.kind != XML and begun.startswith((b"<?xml", b"<rss", b"<feed")):
        looks_like, advice = "XML", "name it .xml"
    elif (
        not looks_like
        and file.kind == CSV
        and begun.startswith((b'{"', b'[{"', b"[\n{"))
        or not looks_like
        and file.kind == XML
        and begun.startswith((b"{", b"["))
    ):
        looks_like, advice = "JSON", "name it .jsonl or .json"
    if looks_like:
        raise BadDataError(f"{file.path} is named as {file.kind.upper()} and looks like {looks_like}", next_step=advice)


def _is_record(line: bytes) -> bool:
    return line.lstrip().startswith(b"{") and line.rstrip(b" \r\t").endswith(b"}") and count_objects(line) == 1
