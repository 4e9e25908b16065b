"""Small clicks: whether ad and page are of one kind, which only vectors know, a widget's rate, and the rate of the ad."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from m5model.data.randomness import generator_for
from m5model.partners.vectors import Vectors, given_vectors
from tests.m5model.partners.conftest import DIMENSIONS, SPACE, Row

KINDS = 8
START = datetime(2026, 1, 1, tzinfo=UTC)


def click_rows(rows: int = 1200, seed: int = 0, *, times: bool = False) -> list[Row]:
    """Ads are clicked on pages of their kind nine times of ten in the widget ``top``, seldom elsewhere."""
    made: list[Row] = []
    for number in range(rows):
        draw = generator_for("impression", seed, number)
        ad, page, widget = int(draw.integers(KINDS)), int(draw.integers(KINDS)), ("top", "side")[int(draw.integers(2))]
        page = ad if draw.random() < 0.5 else page
        rate = 0.9 if ad == page and widget == "top" else 0.1
        made.append(
            {
                "text": f"ad{number} {ad}",
                "page_text": f"page{number} {page}",
                "context": f"impression {number}",
                "widget": widget,
                "historical_ctr_ad": float(draw.beta(2, 40)),
                "impressions": 1,
                "clicks": int(draw.random() < rate),
                **({"at": (START + timedelta(minutes=number)).isoformat()} if times else {}),
            }
        )
    return made


def kind_vectors(rows: list[Row]) -> Vectors:
    """Texts lie where their kind lies; nothing in their words says so (the last figure is left out by every word count)."""
    vectors: dict[str, Any] = {}
    for row in rows:
        for text in (row["text"], row["page_text"]):
            centre = generator_for("kind", text.split(" ")[1]).normal(size=DIMENSIONS)
            around = centre + 0.3 * generator_for("text", text).normal(size=DIMENSIONS)
            vectors[text] = (around / np.linalg.norm(around)).astype(np.float32)
    return given_vectors(vectors, SPACE)


def hide_kinds(rows: list[Row]) -> tuple[list[Row], Vectors]:
    """The rows with texts whose words say nothing, and the vectors that know."""
    known = kind_vectors(rows)
    hidden, vectors = [], {}
    for row in rows:
        names = {side: row[side].split(" ")[0] for side in ("text", "page_text")}
        vectors |= {name: known.of([row[side]])[0] for side, name in names.items()}
        hidden.append(row | names)
    return hidden, given_vectors(vectors, SPACE)
