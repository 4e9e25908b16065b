"""Rows of a CSV become columns at once, where each line is a row: a regular expression without backtracking says that the
quotes of each line close as RFC 4180 has it, and of such lines Arrow's parser makes the cells that csv_dialects makes."""

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from m5model.feeds.csv_dialects import Dialect
from m5model.feeds.opening import UTF_8_MARK

# An empty cell is an absent field, with quotes or without.
ABSENT = {"null_values": [""], "strings_can_be_null": True, "quoted_strings_can_be_null": True}


def parse_rows(lines: Sequence[bytes], dialect: Dialect, names: Sequence[str]) -> pa.RecordBatch | None:
    """Cells of lines without line ends, as texts; null where empty. None where a line is no row of sound UTF-8 by itself, has
    another number of cells than there are names, or holds what Arrow's parser reads in another way."""
    texts = pa.array(lines, pa.binary())
    joined = b"\n".join(lines)
    if dialect.has_escapes or b"\r" in joined or joined.startswith(UTF_8_MARK) or not lines:
        return None
    if not pc.all(pc.match_substring_regex(texts.view(pa.string()), dialect.whole_line)).as_py():
        return None
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(joined),
            arrow_csv.ReadOptions(use_threads=False, block_size=len(joined) + 1, column_names=list(names)),
            arrow_csv.ParseOptions(
                delimiter=dialect.delimiter.decode(), quote_char=dialect.quote.decode(), ignore_empty_lines=False
            ),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), **ABSENT),
        )
    except pa.ArrowInvalid:  # another number of cells
        return None
    if table.num_rows != len(lines):
        return None
    return table.combine_chunks().to_batches()[0]
