"""Makes the labels that partners learn from: duplicates, the meaning of queries, and what was viewed, bought and clicked."""

import hashlib
import math
import random
from collections import defaultdict, deque
from collections.abc import Iterator

from m5model.sample_catalogue.items import Item, Offer, generator
from m5model.sample_catalogue.lexicon import product_types, read_words
from m5model.sample_catalogue.wording import Record, attribute_truth, category_path, fill_slots
from schemas.labels import SPLITS

LabelRow = tuple[str, dict[str, object]]  # table, row

WIDGETS = ("detail-page-bottom", "search-top", "search-inline", "cart-side", "home-carousel")
SEARCH_ENGINES = ("on-site", "web-a", "web-b")
GAINS = {"exact": 1.0, "partial": 0.5}
NEIGHBOURHOOD = 150  # listings of the same locale that sessions, queries and clicks look back on


class LabelMaker:
    """Sees the offers in their order and yields their labels."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._recent: dict[str, deque[Offer]] = defaultdict(lambda: deque(maxlen=NEIGHBOURHOOD))

    def label(self, offer: Offer, record: Record) -> Iterator[LabelRow]:
        """All label rows that this offer brings, with it the newest of its locale."""
        draw = generator(self._seed, "labels", offer.number)
        recent = self._recent[offer.locale]
        yield from _describe(offer, record)
        yield from _pair(offer, recent, draw)
        if offer.number % 8 == 0:
            yield from _query(offer, recent, draw)
        if offer.number % 4 == 0:
            yield from _session(offer, recent, draw)
        if recent and offer.number % 2 == 0:
            yield from _click(offer, draw.choice(list(recent)), draw, self._seed)
        recent.append(offer)


def _key(offer: Offer) -> dict[str, object]:
    return {"locale": offer.locale, "item_id": offer.item_id}


def _describe(offer: Offer, record: Record) -> Iterator[LabelRow]:
    item, key = offer.item, _key(offer)
    yield "items", {**key, "item": item.number}
    yield "brands", {**key, "brand": record["brand"]}
    path = category_path(item, offer.language)
    yield "categories", {**key, "product_type": item.type_name, "category": path, "product_line": item.line}
    for name, value in attribute_truth(item, offer.language).items():
        yield "attributes", {**key, "attribute": name, "value": value, "declared": name in record["attributes"]}


def _pair(offer: Offer, recent: deque[Offer], draw: random.Random) -> Iterator[LabelRow]:
    """A duplicate or a variant with its other side; now and then two listings that have nothing in common."""
    if offer.related_to is not None:  # to its own item, or to a variant of it: the family is the same
        other_id, label, related = f"S{offer.related_to:09d}", int(offer.relation == "duplicate"), offer.item
    elif recent and draw.random() < 0.3:
        other = draw.choice(list(recent))
        other_id, label, related = other.item_id, int(other.item == offer.item), other.item
    else:
        return
    row = {**_key(offer), "other_item_id": other_id, "label": label, "product_line": offer.item.line}
    yield "duplicates", {**row, "split": _split(offer.item, related)}


def _split(*items: Item) -> str:
    """The latest split of some items. 75% of the families learn, 5% validate, 20% test: an item and its variants are in one."""
    return max((_split_of_family(item.family) for item in items), key=SPLITS.index)


def _split_of_family(family: str) -> str:
    place = int.from_bytes(hashlib.sha256(family.encode()).digest()[:4], "big") / 2**32
    return SPLITS[0] if place < 0.75 else SPLITS[1] if place < 0.8 else SPLITS[2]


def _query(offer: Offer, recent: deque[Offer], draw: random.Random) -> Iterator[LabelRow]:
    family = "authored" if product_types()[offer.item.type_name]["authored"] else "goods"
    template = draw.choice(read_words(offer.language)[f"queries_{family}"])
    query_id = f"Q{offer.number:09d}"
    query = template.format(**fill_slots(offer.item, offer.language, draw))
    yield "queries", {"query_id": query_id, "locale": offer.locale, "language": offer.language, "query": query}
    for other in (offer, *recent):
        grade = "exact" if other.item == offer.item else "partial" if other.item.type_name == offer.item.type_name else ""
        if grade:
            asked = {"query_id": query_id, "query": query, "query_language": offer.language}
            split = _split(offer.item, other.item)
            yield "relevance", {**asked, **_key(other), "grade": grade, "gain": GAINS[grade], "split": split}


def _session(offer: Offer, recent: deque[Offer], draw: random.Random) -> Iterator[LabelRow]:
    """Similar things are viewed together; what goes with them is bought together."""
    session_id = f"V{offer.number:09d}"
    similar = [other for other in recent if other.item.type_name == offer.item.type_name]
    second = 0
    for other in [offer, *draw.sample(similar, min(3, len(similar)))]:
        second += draw.randint(5, 90)
        yield "sessions", {"session_id": session_id, **_key(other), "event": "view", "second": second}
    complement = product_types()[offer.item.type_name]["complement"]
    matching = [other for other in recent if other.item.type_name == complement]
    bought = [offer, *draw.sample(matching, min(1, len(matching)))] if draw.random() < 0.5 else []
    for other in bought:
        second += draw.randint(20, 120)
        yield "sessions", {"session_id": session_id, **_key(other), "event": "purchase", "second": second}


def _click(ad: Offer, page: Offer, draw: random.Random, seed: int) -> Iterator[LabelRow]:
    """Clicks follow the items' likeness and their historical rates: there is something to learn from both."""
    rates = {offer.number: generator(seed, "ctr", offer.number).betavariate(2, 40) for offer in (ad, page)}
    same_type, same_line = ad.item.type_name == page.item.type_name, ad.item.line == page.item.line
    widget = draw.choice(WIDGETS)
    score = -3.2 + 1.8 * same_type + 0.7 * same_line + 14 * rates[ad.number] + 6 * rates[page.number]
    score += 0.2 * WIDGETS.index(widget)
    yield (
        "clicks",
        {
            "impression_id": f"C{ad.number:09d}",
            "locale": ad.locale,
            "page_item_id": page.item_id,
            "ad_item_id": ad.item_id,
            "gl_group": f"gl_{product_types()[ad.item.type_name]['department']}",
            "widget": widget,
            "search_engine": draw.choice(SEARCH_ENGINES),
            "historical_ctr_page": rates[page.number],
            "historical_ctr_ad": rates[ad.number],
            "clicked": int(draw.random() < 1 / (1 + math.exp(-score))),
        },
    )
