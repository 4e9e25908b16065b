"""Spark and Python render the same text."""

import pytest

from m5model.runtime.rendering import DEFAULT_RENDERING, Rendering, fingerprint, render
from spark.rendering import render_listings

SCHEMA = "title string, bullets array<string>, description string, brand string, category string, attributes map<string,string>"
ROWS = [
    ("plain", None, None, None, None, None),
    ("سوار سيليكون", ["a", "", "ب"], "", "علامة", None, {"ب": "2", "a": "1", "z": ""}),
    ("日本酒 👩‍🚀", [], "長い" * 5_000, "", "食品 > 酒", {}),
    ("Größe|: x", ["| odd |"], "d", "B", "c", {"ß": "Ä", "Z": "1", "é": "2"}),
]


@pytest.mark.parametrize("rendering", [DEFAULT_RENDERING, Rendering(prefix="query: ")], ids=["plain", "prefix"])
def test_spark_and_python_give_the_same_text_and_fingerprint(spark, rendering: Rendering) -> None:
    names = [part.split()[0] for part in SCHEMA.split(", ")]
    rendered = render_listings(spark.createDataFrame(ROWS, SCHEMA).coalesce(1), rendering).collect()
    expected = [render(dict(zip(names, row, strict=True)), rendering) for row in ROWS]
    assert [row["text"] for row in rendered] == expected
    assert [row["fingerprint"] for row in rendered] == [fingerprint(text, rendering) for text in expected]
    assert len(expected[2]) == rendering.max_characters + len(rendering.prefix)


def test_a_rendering_without_a_prefix_keeps_the_id_that_it_always_had() -> None:
    assert DEFAULT_RENDERING.rendering_id == "44c59d8fe25a"
    assert Rendering.from_json(Rendering(prefix="query: ").as_json()) == Rendering(prefix="query: ")
