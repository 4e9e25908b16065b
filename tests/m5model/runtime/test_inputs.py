"""What may be handed to render and encode, and what is refused by row and field."""

import collections
import json
import math

import numpy as np
import pyarrow as pa
import pytest

from m5model.runtime.inputs import iterate_rows
from m5model.runtime.rendering import render
from schemas.errors import ExitCode, ModelInputError

LAMP = {
    "title": "Lampe",
    "brand": "Lumora",
    "bullets": ["dimmbar", "warm"],
    "attributes": {"Farbe": "rot", "Breite": "3 cm"},
    "description": None,
}
TEXT = "Lampe | Lumora | Breite: 3 cm | Farbe: rot | dimmbar | warm"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"bullets": np.array(["dimmbar", "warm"])},
        {"bullets": np.array(["dimmbar", None, "warm"], dtype=object)},
        {"bullets": ("dimmbar", "", math.nan, "warm")},
        {"description": math.nan, "category": ""},
        {"description": np.float64("nan"), "category": np.array(None)[()]},
        {"title": np.str_("Lampe")},
        {"attributes": [("Farbe", "rot"), ("Breite", "3 cm"), ("Höhe", None)]},
        {"attributes": [["Breite", "3 cm"], ["Farbe", "rot"]]},
        {"attributes": [{"name": "Farbe", "value": "rot"}, {"name": "Breite", "value": "3 cm"}]},
        {"attributes": np.array([{"key": "Farbe", "value": "rot"}, {"key": "Breite", "value": "3 cm"}])},
        {"attributes": {"Farbe": "rot", "Breite": "3 cm", "Höhe": math.nan, "Tiefe": ""}},
        {"attributes": [("Farbe", "rot"), ("Farbe", None), ("Breite", "3 cm")]},
    ],
)
def test_a_listing_gives_the_same_text_however_its_reader_hands_over_lists_maps_and_missing_values(change: dict) -> None:
    assert render({**LAMP, **change}) == TEXT


def test_pandas_missing_values_are_absent() -> None:
    pandas = pytest.importorskip("pandas")
    assert render({**LAMP, "description": pandas.NA, "category": pandas.NaT}) == TEXT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bullets": "dimmbar"}, r"bullets is a str \('dimmbar'\), expected a list"),
        ({"bullets": [["a"]]}, "a bullet is a list"),
        ({"bullets": {"a": "b"}}, "bullets is a dict"),
        ({"title": 501}, r"title is a int \(501\), expected text"),
        ({"title": b"Lampe"}, "title is a bytes"),
        ({"brand": ["Lumora"]}, "brand is a list"),
        ({"brand": np.array(["a", "b"])}, "brand is a ndarray"),
        ({"attributes": "Farbe: rot"}, "attributes is a str"),
        ({"attributes": ["Farbe"]}, "an attribute is a str"),
        ({"attributes": [("a", "b", "c")]}, "an attribute is a tuple"),
        ({"attributes": {"Breite": 3}}, r"an attribute's value is a int \(3\)"),
        ({"title": "x" * 3 + "\ud83d"}, r"character 3 is '\\ud83d', half of a surrogate pair"),
        ({"bullets": ["\udcff"]}, "half of a surrogate pair"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_field_and_its_beginning(change: dict, message: str) -> None:
    with pytest.raises(ModelInputError, match=message) as error:
        render({"title": "Lampe", **change} if "title" not in change else change)
    assert error.value.exit_code == ExitCode.BAD_DATA


@pytest.mark.parametrize("listing", ["", {}, {"title": None}, {"title": math.nan, "bullets": [None]}, {"titel": "Lampe"}])
def test_a_listing_without_a_text_is_refused(listing: object) -> None:
    with pytest.raises(ModelInputError, match="the text is empty"):
        render(listing)  # type: ignore[arg-type]


ROWS = [{"title": "a"}, {"title": "b"}]
Named = collections.namedtuple("Named", ["title"])


@pytest.mark.parametrize(
    "given",
    [
        ROWS,
        tuple(ROWS),
        iter(ROWS),
        (row for row in ROWS),
        pa.Table.from_pylist(ROWS),
        pa.RecordBatch.from_pylist(ROWS),
        pa.array(ROWS),
        [Named("a"), Named("b")],
        np.array(ROWS),
    ],
    ids=["list", "tuple", "iterator", "generator", "table", "record batch", "array of structs", "named tuples", "numpy"],
)
def test_rows_come_in_any_container_that_has_an_order(given: object) -> None:
    assert list(iterate_rows(given)) == ROWS


def test_a_data_frame_is_its_rows_and_so_are_a_column_and_single_rows() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS)
    assert list(iterate_rows(frame)) == ROWS
    assert list(iterate_rows(frame["title"])) == ["a", "b"]
    assert list(iterate_rows([row for _, row in frame.iterrows()])) == ROWS
    assert list(iterate_rows(frame.itertuples(index=False))) == ROWS


def test_the_rows_of_a_delta_table_can_be_rendered_as_arrow_and_as_pandas() -> None:
    pytest.importorskip("pandas")
    maps = pa.array([[("Farbe", "rot"), ("Breite", "3 cm")], None], pa.map_(pa.string(), pa.string()))
    table = pa.table(
        {"title": ["Lampe", "Stuhl"], "brand": ["Lumora", None], "bullets": [["dimmbar", "warm"], None], "attributes": maps}
    )
    for given in (table, table.to_pandas(), table.to_pandas().to_dict("records"), table.to_pylist()):
        assert [render(row) for row in iterate_rows(given)] == [TEXT, "Stuhl"]


@pytest.mark.parametrize("given", ["red shirt", b"red", {"title": "Lampe"}, {"a"}, None, 7, np.array("red")], ids=repr)
def test_what_is_no_list_of_rows_is_refused_with_what_to_give(given: object) -> None:
    with pytest.raises(ModelInputError, match="encode takes a list of texts or listings, got .*\n.*What to do"):
        list(iterate_rows(given))


@pytest.mark.parametrize("row", [None, 7, b"text", ["title", "Lampe"], math.nan, np.array(["a"])], ids=repr)
def test_a_row_that_is_neither_text_nor_mapping_is_named_by_its_number(row: object) -> None:
    with pytest.raises(ModelInputError, match="row 1 is a "):
        list(iterate_rows(["a", row]))


def test_a_listing_that_came_through_json_is_rendered_like_one_that_did_not() -> None:
    assert render(json.loads(json.dumps(LAMP))) == TEXT
