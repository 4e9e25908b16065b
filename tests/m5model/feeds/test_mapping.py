"""Mappings: six kinds of files, made to their publishers' column lists, become the same twelve listings."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from m5model.cli import main
from m5model.feeds.inspection import inspect_file, propose_mapping
from m5model.feeds.mapping import FeedMapping, Rule, strip_html
from m5model.feeds.mapping_files import choose_mapping, read_constants, read_mapping, ready_names
from m5model.feeds.sources import find_feed_files
from schemas.errors import ConfigurationError

COLOURS = ("rot", "blau", "grün")
LISTINGS = [
    {
        "item_id": f"0{n}-A&B",
        "title": f'Tasse "{n}", groß',
        "description": f"Hält {n} Stunden warm. Für Kaffee & Tee.",
        "brand": "Müller",
        "category": "Küche > Tassen",
        "attributes": {"color": COLOURS[n % 3], "size": f"{n} cl"},
    }
    for n in range(12)
]
Written = dict[str, str]


def _html(text: str) -> str:
    return f"<p>{escape(text).replace('. ', '.<br>')}</p>"


def _google(one: dict) -> Written:
    return {
        "id": one["item_id"], "title": one["title"], "description": one["description"], "link": "https://x.test/1",
        "image_link": "https://x.test/1.jpg", "availability": "in_stock", "price": "9.90 EUR", "condition": "new",
        "brand": one["brand"], "product_type": one["category"], "google_product_category": "166", "gtin": "4006381333931",
        **one["attributes"],
    }  # fmt: skip


def _shopify(one: dict) -> Written:
    return {
        "Handle": f"tasse-{one['item_id']}", "Title": one["title"], "Body (HTML)": _html(one["description"]),
        "Vendor": one["brand"], "Product Category": one["category"], "Type": "Tasse", "Tags": "neu", "Published": "TRUE",
        "Option1 Name": "color", "Option1 Value": one["attributes"]["color"], "Option2 Name": "size",
        "Option2 Value": one["attributes"]["size"], "Option3 Name": "Title", "Option3 Value": "Default Title",
        "Variant SKU": one["item_id"], "Variant Grams": "300", "Variant Price": "9.90", "Image Src": "https://x.test/1.jpg",
        "Status": "active",
    }  # fmt: skip


def _woocommerce(one: dict) -> Written:
    return {
        "ID": "17", "Type": "simple", "SKU": one["item_id"], "Name": one["title"], "Published": "1", "Is featured?": "0",
        "Short description": "kurz", "Description": _html(one["description"]), "Regular price": "9.90",
        "Categories": one["category"], "Tags": "neu", "Images": "", "Brands": one["brand"],
        "Attribute 1 name": "color", "Attribute 1 value(s)": one["attributes"]["color"], "Attribute 1 visible": "1",
        "Attribute 2 name": "size", "Attribute 2 value(s)": one["attributes"]["size"],
    }  # fmt: skip


def _amazon(one: dict) -> Written:
    return {
        "feed_product_type": "drinkingcup", "item_sku": one["item_id"], "brand_name": one["brand"], "item_name": one["title"],
        "external_product_id": "4006381333931", "external_product_id_type": "EAN", "item_type_name": one["category"],
        "product_description": _html(one["description"]), "standard_price": "9.90", "quantity": "3",
        "color_name": one["attributes"]["color"], "size_name": one["attributes"]["size"],
    }  # fmt: skip


def _write_table(delimiter: str, make: Callable[[dict], Written]) -> bytes:
    text = io.StringIO()
    rows = [make(one) for one in LISTINGS]
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _write_rss() -> bytes:
    items = "".join(
        "<item>" + "".join(f"<g:{name}>{escape(value)}</g:{name}>" for name, value in _google(one).items()) + "</item>"
        for one in LISTINGS
    )
    start = '<?xml version="1.0"?><rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>'
    return f"{start}{items}</channel></rss>".encode()


def _write_json_ld() -> bytes:
    products = [
        {
            "@context": "https://schema.org", "@type": "Product", "sku": one["item_id"], "name": one["title"],
            "description": _html(one["description"]), "brand": {"@type": "Brand", "name": one["brand"]},
            "category": one["category"], "color": one["attributes"]["color"],
            "additionalProperty": [{"@type": "PropertyValue", "name": "size", "value": one["attributes"]["size"]}],
            "offers": {"@type": "Offer", "price": 9.90, "priceCurrency": "EUR"},
        }
        for one in LISTINGS
    ]  # fmt: skip
    return json.dumps(products, ensure_ascii=False).encode()


FILES = {
    "google.tsv": ("google-merchant", lambda: _write_table("\t", _google)),
    "google.xml": ("google-merchant", _write_rss),
    "shopify.csv": ("shopify", lambda: _write_table(",", _shopify)),
    "woocommerce.csv": ("woocommerce", lambda: _write_table(",", _woocommerce)),
    "products.json": ("schema-org", _write_json_ld),
    "amazon.tsv": ("amazon-inventory", lambda: _write_table("\t", _amazon)),
}


@pytest.mark.parametrize("name", FILES)
def test_each_kind_of_file_is_recognised_and_becomes_the_same_listings(name: str, tmp_path: Path) -> None:
    mapping, write = FILES[name]
    path = tmp_path / name
    path.write_bytes(write())
    found = inspect_file(find_feed_files([str(path)]).files[0], constants={"locale": "DE"})
    assert found.proposed == found.applied == mapping
    assert found.records == 12
    assert [dict(listing) for listing in found.listings] == [{"locale": "DE", **one} for one in LISTINGS[:10]]
    assert found.problems == {}


def test_without_a_locale_every_record_would_be_rejected_and_inspection_says_so(tmp_path: Path, capsys) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes(_write_table(",", _shopify))
    assert main(["feed", "inspect", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "CSV in utf-8, 19 columns separated by ," in shown
    assert "--mapping shopify" in shown
    assert "missing_locale 12" in shown
    assert main(["feed", "inspect", str(path), "--set", "locale=DE", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == {}


def test_a_feed_with_our_own_fields_needs_no_mapping_and_an_unknown_one_gets_none() -> None:
    assert propose_mapping({"locale", "item_id", "title", "price"}) == ""
    assert propose_mapping({"Artikelnummer", "Bezeichnung"}) == ""


def test_the_ready_mappings_are_listed_and_each_can_be_read(capsys) -> None:
    assert main(["feed", "mappings"]) == 0
    assert capsys.readouterr().out.count("\n") == len(ready_names()) == 5


def _apply(record: dict, **rules: Rule) -> dict:
    return FeedMapping(name="test", fields=rules).apply(record)


def test_rules_join_split_look_up_and_fall_back() -> None:
    record = {"a": "Tasse", "b": "", "c": "groß", "land": "Deutschland", "tags": "warm|rund||", "list": ["x", ["y"]]}
    mapped = _apply(
        record,
        title=Rule(join=("a", "b", "c"), between=", "),
        locale=Rule(first_of=("land",), lookup={"Deutschland": "DE"}),
        bullets=Rule(first_of=("tags",), split="|"),
        brand=Rule(first_of=("b", "none"), constant="Müller"),
        category=Rule(first_of=("list",)),
    )
    assert (mapped["title"], mapped["locale"], mapped["bullets"]) == ("Tasse, groß", "DE", ["warm", "rund"])
    assert (mapped["brand"], mapped["category"]) == ("Müller", "x > y")
    assert mapped["land"] == "Deutschland"  # a reject is kept whole


def test_a_field_that_has_a_rule_never_keeps_what_the_feed_calls_by_that_name() -> None:
    assert _apply({"title": "x", "Titel": ""}, title=Rule(first_of=("Titel",))) == {"Titel": ""}


def test_an_id_is_never_altered_by_being_read() -> None:
    mapping = FeedMapping(name="test", fields={"item_id": Rule(first_of=("nr",))})
    for number in ("12.50", "123456789012345678901234567890", '"00A&amp;B "'):
        line = mapping.apply_to_line(f'{{"nr": {number}}}'.encode())
        assert json.loads(line)["item_id"] == number.strip('"')


def test_lines_that_are_no_object_stay_as_they_are() -> None:
    mapping = read_mapping("shopify")
    for line in (b"[1]", b"{", b"\xff{}", b'"x"'):
        assert mapping.apply_to_line(line) == line


def test_unknown_columns_become_attributes_where_a_mapping_says_so() -> None:
    mapping = FeedMapping(
        name="test", fields={"title": Rule(first_of=("Name",))}, attributes={"w": Rule(first_of=("Gramm",), unit="g")},
        keep_unknown=True,
    )  # fmt: skip
    mapped = mapping.apply({"Name": "Tasse", "Gramm": "300", "Farbe": "rot", "nested": {"x": 1}, "locale": "DE"})
    assert mapped["attributes"] == {"Farbe": "rot", "w": "300 g"}


def test_html_becomes_text() -> None:
    assert strip_html("<p>ab<b>c</b> &amp; d</p><ul><li>e</li><li>f</li></ul><script>x()</script>") == "abc & d e f"
    assert strip_html("2 < 3") == "2 < 3"
    assert strip_html("plain  text") == "plain  text"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[fields]\nname = 'x'\n", "name is no field of a listing"),
        ("[fields]\ntitle = { from = 'x' }\n", r"title has no from.*has no source"),
        ("[fields]\ntitle = { first_of = ['x'], join = ['y'] }\n", "first_of, join"),
        ("field = 1\n", "there is no field"),
        ("[fields]\ntitle = { first_of = 'x' }\n", "mapping"),
        ("[fields\n", "no TOML"),
    ],
)
def test_what_is_wrong_with_a_mapping_file_is_named(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=f"(?s){problem}"):
        read_mapping(str(path))


def test_names_and_constants_that_there_are_not_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no mapping 'shopware'"):
        read_mapping("shopware")
    with pytest.raises(ConfigurationError, match=r"(?s)'DE' is not FIELD=VALUE.*'land=DE'"):
        read_constants(["DE", "land=DE", "locale=DE"])
    assert choose_mapping(None, []) is None
    assert choose_mapping(None, ["locale=DE"]).constants == {"locale": "DE"}
