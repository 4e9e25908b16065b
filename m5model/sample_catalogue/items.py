"""Draws the items that are sold and the listings that show them. Listing n is a pure function of (seed, n, earlier ones)."""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from m5model.sample_catalogue.lexicon import product_types, read_concepts

Relation = Literal["original", "duplicate", "variant", "abroad"]

# Skewed on purpose: English is above half, and the smallest languages are just above 3%.
LOCALE_WEIGHTS = {
    "US": 24.0, "UK": 10.0, "DE": 10.0, "FR": 9.0, "IN": 7.0, "CA": 6.0, "IT": 5.0, "ES": 5.0, "JP": 4.0, "NL": 4.0,
    "BR": 3.5, "TR": 3.5, "MX": 3.0, "AE": 3.0, "SA": 3.0,
}  # fmt: skip
LANGUAGE_WEIGHTS = {
    "US": {"en": 1.0}, "UK": {"en": 1.0}, "IN": {"en": 1.0}, "DE": {"de": 1.0}, "FR": {"fr": 1.0}, "IT": {"it": 1.0},
    "ES": {"es": 1.0}, "MX": {"es": 1.0}, "JP": {"ja": 1.0}, "BR": {"pt": 1.0}, "TR": {"tr": 1.0},
    "NL": {"nl": 0.8, "en": 0.2}, "CA": {"en": 0.75, "fr": 0.25}, "AE": {"en": 0.6, "ar": 0.4}, "SA": {"ar": 0.75, "en": 0.25},
}  # fmt: skip
RELATION_WEIGHTS: dict[Relation, float] = {"original": 0.57, "duplicate": 0.18, "abroad": 0.15, "variant": 0.10}
REMEMBERED = 400  # listings that a new one can relate to


@dataclass(frozen=True, kw_only=True)
class Item:
    """A thing that is sold, in no language yet."""

    number: int
    type_name: str
    brand: int  # position among the brands of its product line
    series: str
    author: str  # of books, films and music
    work: tuple[int, int]  # positions of head and tail of its title
    attributes: tuple[tuple[str, str], ...]  # name and value codes
    features: tuple[str, ...]

    @property
    def line(self) -> str:
        return str(product_types()[self.type_name]["line"])

    @property
    def family(self) -> str:
        """The model that it is a variant of, in a word."""
        return f"{self.type_name}:{self.brand}:{self.series}:{self.author}:{self.work}"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One listing to be: an item in a locale, worded in a language by a seller."""

    number: int
    locale: str
    language: str
    item: Item
    relation: Relation
    related_to: int | None  # number of the offer that it duplicates or varies

    @property
    def item_id(self) -> str:
        return f"S{self.number:09d}"


def generator(seed: int, *names: object) -> random.Random:
    """Independent random numbers for every name: adding rows never changes earlier ones."""
    return random.Random(":".join(map(str, (seed, *names))))


def stream_offers(rows: int, seed: int) -> Iterator[Offer]:
    """``rows`` offers in order."""
    recent: deque[Offer] = deque(maxlen=REMEMBERED)
    for number in range(rows):
        offer = _draw_offer(number, seed, recent)
        recent.append(offer)
        yield offer


def _draw_offer(number: int, seed: int, recent: deque[Offer]) -> Offer:
    draw = generator(seed, "offer", number)
    relation: Relation = draw.choices(list(RELATION_WEIGHTS), list(RELATION_WEIGHTS.values()))[0] if recent else "original"
    other = draw.choice(list(recent)) if relation != "original" else None
    locale = draw.choices(list(LOCALE_WEIGHTS), list(LOCALE_WEIGHTS.values()))[0]
    if other is None:
        item = _draw_item(number, draw)
    elif relation == "variant":
        item = vary_item(other.item, number, draw)
    else:
        item = other.item
    if other is not None and relation != "abroad":
        locale, language = other.locale, other.language
    else:
        language = draw.choices(list(LANGUAGE_WEIGHTS[locale]), list(LANGUAGE_WEIGHTS[locale].values()))[0]
    related_to = None if other is None or relation == "abroad" else other.number
    return Offer(number=number, locale=locale, language=language, item=item, relation=relation, related_to=related_to)


def _draw_item(number: int, draw: random.Random) -> Item:
    kind = product_types()[draw.choice(list(product_types()))]
    names = read_concepts("names")
    series = f"{draw.choice(names['series'])} {draw.choice(names['suffixes'])} {draw.randint(1, 99)}"
    return Item(
        number=number,
        type_name=kind["name"],
        brand=draw.randrange(len(read_concepts("brands")[kind["line"]])),
        series=series,
        author=f"{draw.choice(names['first_names'])} {draw.choice(names['last_names'])}",
        work=(draw.randrange(1_000), draw.randrange(1_000)),
        attributes=tuple((name, draw.choice(values)) for name, values in kind["attributes"].items()),
        features=tuple(draw.sample(kind["features"], 3)),
    )


def vary_item(item: Item, number: int, draw: random.Random) -> Item:
    """The same model in another colour, size or format: close, and not the same item."""
    kind = product_types()[item.type_name]
    name = draw.choice(kind["varies_by"])
    old = dict(item.attributes)[name]
    new = draw.choice([value for value in kind["attributes"][name] if value != old])
    return replace(item, number=number, attributes=tuple((k, new if k == name else v) for k, v in item.attributes))
