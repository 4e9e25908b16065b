"""Every task on labels learns what its labels say, on rows that it never saw, and trains its own head."""

import random

import numpy as np
import pytest
import torch

from m5model.encoders.bert import build_encoder
from m5model.tasks import (
    attribute_extraction,
    brand,
    click,
    co_purchase,
    co_view,
    contrast,
    duplicates,
    product_type,
    query_relevance,
    retrieval,
)
from m5model.tasks._contrast import contrastive_loss
from m5model.tasks._metrics import average_precision
from schemas.errors import ConfigurationError
from tests.m5model.tasks.conftest import BRANDS, COLOURS, MICRO, THINGS, data_of, learn, offers, text_of


def _pairs(products: int = 36, seed: int = 0) -> list[dict]:
    """Four offers of each product match; each stands beside one of another product."""
    draw = random.Random(seed)
    kinds = [(thing, colour) for thing in THINGS for colour in COLOURS]
    texts = {}
    for i in range(products):
        thing, colour = kinds[i % len(kinds)]
        texts[f"p{i}"] = [text_of(thing, colour, draw) for _ in range(4)]
    rows = []
    for name, own in texts.items():
        other = draw.choice([key for key in texts if key != name])
        for one, two in zip(own, own[1:], strict=False):
            rows.append(_pair(one, two, name, name))
        rows += [_pair(text, draw.choice(texts[other]), name, other) for text in own]
    return rows


def _pair(left: str, right: str, left_entity: str, right_entity: str) -> dict:
    sides = {"left_text": left, "right_text": right, "left_entity": left_entity, "right_entity": right_entity}
    return {**sides, "is_match": left_entity == right_entity}


def _classes(scheme: str = "product_type") -> list[dict]:
    return [{"text": text, "scheme": scheme, "label": thing} for thing, _, text in offers(200)]


def test_product_types_are_told_from_texts(make_labels) -> None:
    task, learned = learn(product_type, product_type.Settings(token_budget=256), data_of(make_labels("classes", _classes())))
    assert task.outcomes == len(THINGS)
    assert learned.before < 0.5 < 0.8 < learned.after
    assert not learned.unmoved


def test_a_brand_is_told_from_what_is_left_when_it_is_taken_out(make_labels) -> None:
    draw, rows = random.Random(0), []
    for i in range(240):
        name = draw.choice(list(BRANDS))
        text = f"{name.upper()} {draw.choice(BRANDS[name].split())} {draw.choice(THINGS)} by {name} {i}"
        rows.append({"text": text, "scheme": "brand", "label": name})
    data = data_of(make_labels("classes", rows))
    _, learned = learn(brand, brand.Settings(token_budget=256), data, steps=80)
    assert learned.after > 0.9 > learned.before
    assert not learned.unmoved


def test_a_brand_is_found_in_any_case_and_with_any_blanks_but_not_inside_a_word() -> None:
    assert brand.take_out("ACME boots, Acme-branded; acmeology", "Acme") == "boots, -branded; acmeology"
    assert brand.take_out("Red  Bull and red-bull", "Red Bull") == "and"
    assert brand.take_out("無印良品の椅子", "無印良品") == "の椅子"


@pytest.mark.parametrize("form", ["cosine", "concatenation"])
def test_duplicates_are_told_apart_from_texts_of_products_never_seen(make_labels, form) -> None:
    data = data_of(make_labels("pairs", _pairs(), shares={"learn": 0.6, "validate": 0.4}))
    _, learned = learn(duplicates, duplicates.Settings(form=form, token_budget=512), data)
    assert learned.after > learned.before + 0.02
    assert not learned.unmoved


def test_a_pair_read_as_one_text_is_learned(make_labels) -> None:
    """One layer cannot compare words in general, but it can learn these pairs."""
    data = data_of(make_labels("pairs", _pairs(20), shares={"learn": 0.6, "validate": 0.4}))
    task, learned = learn(duplicates, duplicates.Settings(form="cross", token_budget=512), data, steps=100)
    is_match = np.asarray(data.labels.splits["learn"]["is_match"][:])
    assert average_precision(task.scores(learned.encoder, "learn"), is_match) > 0.95
    assert not learned.unmoved


@pytest.mark.parametrize(
    "settings",
    [
        contrast.Settings(batch_rows=8),
        contrast.Settings(batch_rows=8, form="infonce", negatives="mined", hard_negatives=2),
        contrast.Settings(batch_rows=8, negatives="both"),
    ],
    ids=["supcon, given", "infonce, mined", "both"],
)
def test_contrast_brings_offers_of_a_product_together_for_products_never_seen(make_labels, settings) -> None:
    data = data_of(make_labels("pairs", _pairs(), shares={"learn": 0.6, "validate": 0.4}))
    task, learned = learn(contrast, settings, data)
    assert learned.after > learned.before + 0.1
    assert not learned.head_before  # it shapes the vectors themselves


def test_a_contrast_batch_holds_two_offers_of_each_product_and_negatives_of_other_products(make_labels) -> None:
    data = data_of(make_labels("pairs", _pairs(), shares={"learn": 0.6, "validate": 0.4}))
    encoder = build_encoder(MICRO, data.tokenizer.get_vocab_size())
    task = contrast.build(contrast.Settings(batch_rows=6, negatives="mined", hard_negatives=2), encoder, data)
    batch = task.batch(3, np.arange(6))
    products = batch.products_N
    assert batch.pairs == 6 and len(products) == 6 * 4
    assert (products[:6] == products[6:12]).all() and len(set(products[:6])) == 6
    assert all(set(products[12 + 2 * i : 14 + 2 * i]).isdisjoint({products[i]}) for i in range(6))
    assert len(batch.texts.places) == 24
    again = task.batch(3, np.arange(6))
    assert (again.products_N == products).all() and (again.texts.places == batch.texts.places).all()
    assert (task.batch(4, np.arange(6)).texts.parts[0][0].shape, 0) != (0, 0)


def test_two_offers_of_a_product_are_never_each_others_negatives(make_labels) -> None:
    data = data_of(make_labels("pairs", _pairs(8), shares={"learn": 0.5, "validate": 0.5}))
    task = contrast.build(contrast.Settings(batch_rows=2, form="infonce", negatives="none"), build_encoder(MICRO, 300), data)
    same = contrast.OfferBatch(texts=None, products_N=np.asarray([5, 5, 5, 5]), pairs=2)  # type: ignore[arg-type]
    assert float(task.loss(torch.randn(4, 4), same)) == pytest.approx(0, abs=1e-6)


def test_the_contrastive_loss_is_the_mean_negative_log_share_of_the_positives() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 0.0]])
    positive = torch.tensor([[False, True, True], [False, False, False]])
    allowed = torch.tensor([[False, True, True], [True, True, True]])
    logs = torch.log_softmax(torch.tensor([1.0, 2.0]), 0)
    assert float(contrastive_loss(logits, positive, allowed)) == pytest.approx(-float(logs.mean()))


def test_what_is_looked_at_and_what_is_bought_together_is_found(make_labels) -> None:
    goes_with = dict(zip(THINGS, THINGS[1:] + THINGS[:1], strict=True))
    rows = []
    for i, (thing, colour, text) in enumerate(offers(240)):
        other = f"{colour} {goes_with[thing]} {i}"
        alike = f"{thing} {colour} other {i}"
        events = [(text, "view"), (alike, "view"), (text, "purchase"), (other, "purchase")]
        rows += [{"session": f"s{i}", "step": k + 1, "text": own, "event": event} for k, (own, event) in enumerate(events)]
    data = data_of(make_labels("sessions", rows, shares={"learn": 0.75, "validate": 0.25}))
    for module in (co_view, co_purchase):
        _, learned = learn(module, module.Settings(batch_rows=16), data, steps=80)
        assert learned.after > learned.before + 0.05, module.NAME
        assert not learned.unmoved


def _relevance(queries: int = 120) -> list[dict]:
    """Of each query: one listing that answers it, one that does in part, four that do not."""
    draw, rows = random.Random(0), []
    for i in range(queries):
        thing = draw.choice(THINGS)
        for other in draw.sample(THINGS, 5):
            gain = 1.0 if other == thing else 0.0
            rows.append({"query": f"{thing} {i}", "text": f"{draw.choice(COLOURS)} {other} {draw.randrange(99)}", "gain": gain})
        rows.append({"query": f"{thing} {i}", "text": f"nice {thing} {i}", "gain": 0.5})
    return rows


def test_relevant_listings_are_ranked_above_others_for_queries_never_seen(make_labels) -> None:
    data = data_of(make_labels("relevance", _relevance(), shares={"learn": 0.7, "validate": 0.3}))
    _, learned = learn(query_relevance, query_relevance.Settings(token_budget=512), data, steps=120)
    assert learned.after > learned.before + 0.05
    assert not learned.unmoved


@pytest.mark.parametrize("beside", ["given", "mined", "none"])
def test_queries_come_near_to_the_listings_that_answer_them(make_labels, beside: str) -> None:
    data = data_of(make_labels("relevance", _answered(), shares={"learn": 0.7, "validate": 0.3}))
    _, learned = learn(retrieval, retrieval.Settings(batch_rows=8, beside=beside), data, steps=60)
    assert learned.after > learned.before + 0.1
    assert not learned.head_before  # it shapes the vectors themselves


def _answered() -> list[dict]:
    """Queries and listings share no word: that a thing is called by its number must be learned."""
    draw, rows = random.Random(0), []
    for i in range(160):
        number, colour = draw.randrange(len(THINGS)), draw.choice(COLOURS)
        answer = {"query": f"q{number} {colour} {i}", "text": f"{THINGS[number]} {colour} {i}", "gain": 1.0}
        rows += [answer, {**answer, "text": f"{THINGS[number - 1]} {colour} {i}", "gain": 0.5}]
    return rows


def test_each_result_is_to_stand_before_all_listings_of_less_gain(make_labels) -> None:
    rows = [
        {"query": query, "text": text, "gain": gain}
        for query, text, gain in (
            ("shirt", "red shirt", 1.0), ("shirt", "blue shirt", 1.0), ("shirt", "red shoes", 0.5),
            ("red", "red shirt", 1.0), ("red", "red shoes", 1.0), ("red", "blue lamp", 0.0),
        )
    ]  # fmt: skip
    kept = [{**row, "query": f"{row['query']} {split}", "split": split} for row in rows for split in ("learn", "validate")]
    data = data_of(make_labels("relevance", kept, keep=True))
    task = retrieval.build(retrieval.Settings(batch_rows=2), build_encoder(MICRO, data.tokenizer.get_vocab_size()), data)
    # Queries "red", "shirt"; listings: a best one of each, then one beside it of each: the lamp, the red shoes.
    batches = [task.batch(step, np.asarray([0, 1])) for step in range(12)]
    assert {tuple(batch.query_of_R) for batch in batches} == {(0, 1, 1)}  # the lamp answers nothing
    assert all((batch.positive_RM == np.eye(4, dtype=bool)[[0, 1, 3]]).all() for batch in batches)
    red, shirt, shoes = np.stack([batch.allowed_RM for batch in batches], axis=1)
    assert red[:, 2].all() and not red[:, 3].any()  # before the lamp; the shoes are red, too
    assert shirt[:, 2].all() and shirt[:, 3].all()
    assert shoes[:, 2].all() and not shoes[:, 1].any()  # before the lamp, and not before a shirt
    assert set(shirt[:, 0]) == set(red[:, 1]) == {False, True}  # a red shirt answers both; red shoes and a blue shirt one
    assert (task.batch(3, np.asarray([0, 1])).texts.places == batches[3].texts.places).all()


def test_clicks_follow_listing_and_place(make_labels) -> None:
    draw, rows = random.Random(0), []
    for thing, _, text in offers(300):
        place = draw.randint(1, 5)
        clicks = round(100 * (0.1 + 0.5 * (thing in THINGS[:3])) / place)
        rows.append({"text": text, "context": "search", "position": place, "impressions": 100, "clicks": clicks})
    data = data_of(make_labels("clicks", rows, shares={"learn": 0.7, "validate": 0.3}))
    _, learned = learn(click, click.Settings(token_budget=512), data, steps=120)
    assert learned.after < learned.before - 0.1
    places = learned.head_after["places.weight"].squeeze(1)
    assert places[1] > places[5]
    assert not learned.unmoved


def test_values_of_attributes_are_found_as_spans(make_labels) -> None:
    rows = []
    for i, (thing, colour, text) in enumerate(offers(200)):
        rows += [{"text": text, "name": "colour", "value": colour}, {"text": text, "name": "kind", "value": thing}]
        rows.append({"text": f"plain {i}", "name": "colour", "value": None})
    data = data_of(make_labels("attributes", rows))
    task, learned = learn(attribute_extraction, attribute_extraction.Settings(token_budget=512), data, steps=80)
    assert set(task.names) == {"colour", "kind"} and task.outcomes == 5
    assert learned.after > 0.8 > 0.3 > learned.before
    assert not learned.unmoved


def test_tags_follow_characters_longer_values_first_and_words_are_not_cut() -> None:
    text, names = "dark red shirt, size M Medium", ["colour", "size"]
    offsets = [(0, 0), (0, 4), (4, 8), (8, 14), (14, 15), (15, 20), (20, 22), (22, 29), (0, 0)]
    values = [("colour", "red"), ("colour", "Dark-Red"), ("size", "m"), ("other", "shirt")]
    tags = attribute_extraction.tag_tokens(text, offsets, values, names)
    assert tags == [-100, 1, 2, 0, 0, 0, 3, 0, -100]
    assert attribute_extraction.read_spans(tags) == [(0, 1, 2), (1, 6, 6)]
    assert attribute_extraction.read_spans([1, 1, 2, 4, 0, 2]) == [(0, 0, 0), (0, 1, 2), (1, 3, 3), (0, 5, 5)]


def test_a_task_without_labels_of_its_kind_is_refused(make_labels) -> None:
    labels = make_labels("classes", _classes())
    encoder = build_encoder(MICRO, 300)
    with pytest.raises(ConfigurationError, match="task duplicates learns from pairs, label set set/.* holds classes"):
        duplicates.build(duplicates.Settings(), encoder, data_of(labels))
    with pytest.raises(ConfigurationError, match="has no row in its split learn that task brand can use"):
        brand.build(brand.Settings(), encoder, data_of(labels))


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        (lambda: product_type.Settings(scheme="", token_budget=1), ["scheme is empty", "token_budget is 1"]),
        (lambda: duplicates.Settings(form="x", positive_weight=0), ["form is 'x'", "positive_weight is 0"]),
        (lambda: contrast.Settings(temperature=0, negatives="x", batch_rows=1), ["temperature is 0", "'x'", "batch_rows is 1"]),
        (lambda: retrieval.Settings(temperature=2, beside="x", max_tokens=3), ["temperature is 2", "'x'", "max_tokens is"]),
        (lambda: co_view.Settings(batch_rows=1, temperature=2), ["batch_rows is 1", "temperature is 2"]),
        (lambda: attribute_extraction.Settings(names=0, token_budget=0), ["names is 0", "token_budget is 0"]),
    ],
)  # fmt: skip
def test_all_wrong_settings_of_a_task_are_named_at_once(settings, problems: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        settings()
    for problem in problems:
        assert problem in str(error.value)
