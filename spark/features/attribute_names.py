"""Names of attributes that differ by case or width only are one name."""

import unicodedata
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

# Full-width letters, digits and signs, and half-width kana, each of which is one character at the usual width.
_WIDTHS = {
    chr(point): unicodedata.normalize("NFKC", chr(point)) for point in (0x3000, *range(0xFF01, 0xFF5F), *range(0xFF61, 0xFF9E))
}
# Kana with a mark of their own are two characters at half width.
_HALF_WIDTH_MARKS = "\uff9e\uff9f"
_MARKED = {
    kana + mark: whole
    for kana in map(chr, range(0xFF66, 0xFF9E))
    for mark in _HALF_WIDTH_MARKS
    if len(whole := unicodedata.normalize("NFKC", kana + mark)) == 1
}


def fold_name(name: Column) -> Column:
    """The name in lower case and usual width, by expressions of Spark alone."""
    marked = reduce(lambda text, pair: F.replace(text, F.lit(pair[0]), F.lit(pair[1])), _MARKED.items(), name)
    whole = F.when(name.rlike(f"[{_HALF_WIDTH_MARKS}]"), marked).otherwise(name)
    return F.lower(F.translate(whole, "".join(_WIDTHS), "".join(_WIDTHS.values())))
