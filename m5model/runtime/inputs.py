"""Turns what people hand to ``encode`` (lists, data frames, Arrow tables, generators) into rows, and refuses the rest.

pandas, pyarrow and polars are recognised by their methods, so none of them is imported.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, cast

from schemas.errors import ModelInputError

# How tables give their rows, and rows their fields: pyarrow and Arrow scalars, polars, pyspark, named tuples, pandas.
TABLE_METHODS = ("to_pylist", "to_dicts")
ROW_METHODS = ("asDict", "_asdict", "to_dict")


def iterate_rows(listings: object) -> Iterator[Mapping[str, Any] | str]:
    """The rows of a list, an iterator, a data frame or a table, in their order: texts, or mappings of fields.

    Raises ModelInputError for one text or one listing in place of a list, for what has no order, and for a row that is neither
    text nor mapping, by its number.
    """
    for number, row in enumerate(_open(listings)):
        yield _as_row(row, number)


def _open(listings: object) -> Iterable[Any]:
    if isinstance(listings, str | bytes | bytearray | Mapping):
        raise ModelInputError(
            f"encode takes a list of texts or listings, got one {type(listings).__name__}", next_step="put it into a list: [it]"
        )
    if hasattr(listings, "itertuples") and hasattr(listings, "to_dict"):  # a pandas DataFrame; iterating it gives its columns
        return listings.to_dict("records")
    for method in TABLE_METHODS:
        if hasattr(listings, method):
            return getattr(listings, method)()
    has_order = hasattr(listings, "__iter__") and not isinstance(listings, Set) and getattr(listings, "ndim", 1) > 0
    if not has_order:
        raise ModelInputError(
            f"encode takes a list of texts or listings, got a {type(listings).__name__}",
            next_step="give a list, an iterator, a data frame or an Arrow table",
        )
    return cast(Iterable[Any], listings)


def _as_row(row: Any, number: int) -> Mapping[str, Any] | str:
    if isinstance(row, str | Mapping):
        return row
    for method in ROW_METHODS:
        if hasattr(row, method):
            fields = getattr(row, method)()
            if isinstance(fields, Mapping):
                return fields
    raise ModelInputError(
        f"row {number} is a {type(row).__name__}, expected a text or a mapping of fields with a title",
        next_step="give texts, or dictionaries such as {'title': …, 'brand': …}; leave out rows that have neither",
    )
