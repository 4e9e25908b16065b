"""Puts an offer into words: title, bullets, description, category and attributes in the offer's language."""

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from m5model.sample_catalogue.items import Item, Offer, generator
from m5model.sample_catalogue.lexicon import product_types, read_concepts, read_words

Record = dict[str, Any]

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
UNDECLARED_SHARE = 0.10  # listings whose feed does not say their language
WITHHELD_SHARE = 0.15  # attributes that a listing has but does not declare


def word_offer(offer: Offer, seed: int) -> Record:
    """Returns the feed record of an offer, sound. Duplicates are worded anew by another seller."""
    draw = generator(seed, "wording", offer.number)
    words = read_words(offer.language)
    item = offer.item
    slots = fill_slots(item, offer.language, draw)
    authored = product_types()[item.type_name]["authored"]
    family = "authored" if authored else "goods"
    title = draw.choice(words[f"titles_{family}"]).format(**slots)
    record: Record = {
        "locale": offer.locale,
        "item_id": offer.item_id,
        "language": None if draw.random() < UNDECLARED_SHARE else offer.language,
        "title": _capitalise(title),
        "bullets": [words["features"][feature]["sentence"] for feature in draw.sample(item.features, draw.randint(2, 3))],
        "description": _describe(words, family, slots, draw),
        "brand": slots["brand"],
        "category": category_path(item, offer.language),
        "attributes": {k: v for k, v in attribute_truth(item, offer.language).items() if draw.random() >= WITHHELD_SHARE},
        "seller": draw.choice(words["sellers"]),
        "source": "m5 sample catalogue",
        "updated_at": (FIRST_DAY + timedelta(minutes=draw.randrange(300 * 24 * 60))).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return _reword(record, words, draw) if offer.relation == "duplicate" else record


def fill_slots(item: Item, language: str, draw: random.Random) -> dict[str, str]:
    """Returns what templates can name."""
    words = read_words(language)
    noun = words["nouns"][item.type_name]
    values = list(attribute_truth(item, language).values())
    specs = words["list_separator"].join(draw.sample(values, min(2, len(values))))
    head, tail = words["heads"][item.work[0] % len(words["heads"])], words["tails"][item.work[1] % len(words["tails"])]
    return {
        "brand": brand_name(item, language),
        "series": item.series,
        "noun": noun["one"],
        "other": noun["other"],
        "adjective": draw.choice(list(words["adjectives"].values()))[noun["gender"]],
        "short": words["features"][item.features[0]]["short"],
        "specs": specs,
        "value": values[0],
        "author": item.author,
        "work": words["work"].format(head=head, tail=tail),
    }


def brand_name(item: Item, language: str) -> str:
    brand = read_concepts("brands")[item.line][item.brand]
    return str(brand.get("native", {}).get(language, brand["name"]))


def attribute_truth(item: Item, language: str) -> dict[str, str]:
    """Returns all attributes of the item: name and value as this language writes them."""
    words = read_words(language)
    return {words["attributes"][name]: _word_value(value, words) for name, value in item.attributes}


def category_path(item: Item, language: str) -> str:
    words = read_words(language)
    kind = product_types()[item.type_name]
    levels = (words["lines"][kind["line"]], words["departments"][kind["department"]], words["nouns"][item.type_name]["many"])
    return " > ".join(levels)


def _word_value(value: str, words: Mapping[str, Any]) -> str:
    measured = re.fullmatch(r"([\d.]+) (\w+)", value)
    if measured and measured[2] in words["units"]:
        return str(words["units"][measured[2]].format(n=measured[1].replace(".", words["decimal_mark"])))
    return str(words["values"].get(value, value))


def _describe(words: Mapping[str, Any], family: str, slots: Mapping[str, str], draw: random.Random) -> str | None:
    if draw.random() < 0.2:  # many listings have no description
        return None
    sentences = [draw.choice(words[f"intros_{family}"]).format(**slots), draw.choice(words["closings"])]
    return str(words["sentence_separator"].join(_capitalise(sentence) for sentence in sentences))


def _reword(record: Record, words: Mapping[str, Any], draw: random.Random) -> Record:
    """Another seller's hand: abbreviations, a word of noise, a slip of the finger, fewer fields."""
    title = str(record["title"])
    for long, short in words["abbreviations"].items():
        title = title.replace(long, short)
    if draw.random() < 0.5:
        title = f"{title} {draw.choice(words['noise'])}"
    if draw.random() < 0.3:
        place = draw.randrange(1, len(title) - 1)
        title = title[:place] + title[place + 1] + title[place] + title[place + 2 :]
    bullets = record["bullets"][:1] if draw.random() < 0.5 else record["bullets"]
    return {**record, "title": title, "bullets": bullets, "description": record["description"] if draw.random() < 0.7 else None}


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]
