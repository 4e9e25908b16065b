"""Supervised contrast: offers of one product are pulled together, all other offers of the batch are pushed away.

A batch holds two offers of each of its products, and hard negatives: offers that the labels say are another product, or those
nearest by the vectors that the encoder had when the stage began. Two offers of one product are never each other's negatives.
Sources: Khosla et al. 2020 (SupCon); Peeters and Bizer 2022 (R-SupCon, for product matching).

Tensor suffixes: N texts of a batch, D hidden size.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from m5model.data.components import Components
from m5model.data.keys import key_hash
from m5model.data.randomness import generator_for, seed_for
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import Batching, Examples, TaskData
from m5model.tasks._contrast import batch_rules, contrastive_loss, cut_rules
from m5model.tasks._metrics import average_precision
from m5model.tasks._mining import find_nearest, vectors_now
from m5model.tasks._texts import (
    Indexed,
    TextBatch,
    TextPool,
    encode_all,
    encode_texts,
    open_pool,
    require_labels,
    require_rows,
    sample_rows,
)
from schemas.checks import is_whole, require

NAME = "contrast"
LABELS = "pairs"
FORMS = ("supcon", "infonce")
NEGATIVES = ("given", "mined", "both", "none")
EVALUATION_ROWS = 2_048


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe. Raises ConfigurationError that lists every problem at once."""

    batch_rows: int = 32  # products a step, two offers of each
    temperature: float = 0.05  # of cosines
    form: Literal["supcon", "infonce"] = "supcon"  # all offers of a product are positives, or only the one beside
    negatives: Literal["given", "mined", "both", "none"] = "given"  # hard ones, beside those of the batch
    hard_negatives: int = 1  # of each product and step
    mined_from: int = 16  # nearest offers of other products that negatives are drawn from
    max_tokens: int = 0  # of a text, the rest is not read while it learns; 0: all that the encoder reads

    def __post_init__(self) -> None:
        require(
            "contrast settings",
            {
                **batch_rules(self.batch_rows, self.temperature),
                f"form is {self.form!r}, expected one of {', '.join(FORMS)}": self.form in FORMS,
                f"negatives is {self.negatives!r}, expected one of {', '.join(NEGATIVES)}": self.negatives in NEGATIVES,
                f"hard_negatives is {self.hard_negatives}, expected 0 or more": is_whole(self.hard_negatives),
                f"mined_from is {self.mined_from}, expected 1 or more": is_whole(self.mined_from, 1),
                **cut_rules(self.max_tokens),
            },
        )


@dataclass(frozen=True, kw_only=True)
class Offers:
    """The texts of the split to learn from, by product."""

    keys: Mapping[int, int]  # product → 63 bits of the hash of its name
    product_of: Mapping[int, int]  # text → product
    texts_of: Mapping[int, np.ndarray]  # product → its texts, sorted
    negatives_of: Mapping[int, np.ndarray]  # product → texts of other products that are easily taken for its own


@dataclass(frozen=True, kw_only=True)
class OfferBatch:
    """Texts of a step: the first offers, the second ones, hard negatives; and their products."""

    texts: TextBatch
    products_N: np.ndarray  # int64
    pairs: int  # products that have two offers in the batch

    @property
    def tokens(self) -> int:
        return self.texts.tokens


@dataclass(frozen=True, kw_only=True)
class MeasuredPairs:
    """Pairs of the split validate, as places in the pool."""

    left: np.ndarray
    right: np.ndarray
    is_match: np.ndarray


class Contrast:
    """The task; see m5model.tasks.Task. It has no head: it shapes the vectors themselves."""

    metric = "average_precision"  # of the cosine, over labelled pairs
    lower_is_better = False

    def __init__(self, settings: Settings, pool: TextPool, offers: Offers, pairs: MeasuredPairs, seed: int) -> None:
        self.name = NAME
        self.head = nn.Module()
        self.seed = seed
        self.batching = Batching(batch_rows=settings.batch_rows)
        self._settings = settings
        self._pool = pool
        self._offers = offers
        self._rows = [product for product, texts in sorted(offers.texts_of.items()) if len(texts) > 1]
        lengths = [int(pool.lengths[offers.texts_of[product]].mean()) for product in self._rows]
        self.examples = Examples(
            keys=np.asarray([offers.keys[product] for product in self._rows], np.int64),
            lengths=np.asarray(lengths, np.int64),
        )
        hard = 0 if settings.negatives == "none" else settings.hard_negatives
        self.outcomes = min(settings.batch_rows, max(1, len(self._rows))) * (2 + hard) - 1
        self._pairs = pairs
        self.measured_on = f"{len(pairs.left):,} pairs of the split validate"

    def batch(self, step: int, rows: np.ndarray) -> OfferBatch:
        draw = generator_for("offers", self.seed, step)
        products = [self._rows[row] for row in rows]
        drawn = [draw.choice(self._offers.texts_of[product], 2, replace=False) for product in products]
        negatives = [text for product in products for text in self._draw_negatives(product, draw)]
        texts = np.asarray([*(one for one, _ in drawn), *(other for _, other in drawn), *negatives], np.int64)
        products_N = np.asarray([self._offers.product_of[int(text)] for text in texts], np.int64)
        return OfferBatch(texts=self._pool.batch(texts), products_N=products_N, pairs=len(products))

    def _draw_negatives(self, product: int, draw: np.random.Generator) -> list[int]:
        found = self._offers.negatives_of.get(product, np.zeros(0, np.int64))
        count = min(self._settings.hard_negatives, len(found))
        return [int(text) for text in draw.choice(found, count, replace=False)] if count else []

    def logits(self, encoder: TextEncoder, batch: OfferBatch) -> Tensor:
        """Cosines of every two texts by the temperature (N, N)."""
        vectors_ND = encode_texts(encoder, batch.texts)
        return vectors_ND @ vectors_ND.T / self._settings.temperature

    def loss(self, logits: Tensor, batch: OfferBatch) -> Tensor:
        """Of the offers that have another one in the batch, see m5model.tasks._contrast."""
        products_N = torch.from_numpy(batch.products_N).to(logits.device)
        same_NN = products_N[:, None] == products_N[None, :]
        itself_NN = torch.eye(len(products_N), dtype=torch.bool, device=logits.device)
        if self._settings.form == "supcon":
            return contrastive_loss(logits, same_NN & ~itself_NN, ~itself_NN)
        partner_NN = torch.zeros_like(itself_NN)
        places = torch.arange(batch.pairs, device=logits.device)
        partner_NN[places, places + batch.pairs] = partner_NN[places + batch.pairs, places] = True
        return contrastive_loss(logits, partner_NN, partner_NN | ~same_NN)

    def measure(self, encoder: TextEncoder) -> float:
        vectors = encode_all(encoder, self._pool, np.concatenate([self._pairs.left, self._pairs.right]))
        left, right = vectors.chunk(2)
        return average_precision((left * right).sum(1).cpu().numpy(), self._pairs.is_match)


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> Contrast:
    """The task on the offers of this label set. Mines hard negatives with the encoder as it is, where the settings say so."""
    labels = require_labels(NAME, LABELS, data)
    learn, validate = labels.splits["learn"], labels.splits["validate"]
    require_rows(NAME, validate, "validate", labels)
    chosen = validate.select(sample_rows(np.asarray(validate["key"][:], np.int64), EVALUATION_ROWS))
    indexed = Indexed.of(learn["left_text"][:], learn["right_text"][:], chosen["left_text"][:], chosen["right_text"][:])
    left, right, validate_left, validate_right = indexed.places
    pool = open_pool(indexed.texts, data, settings.max_tokens)
    names = Indexed.of(learn["left_entity"][:], learn["right_entity"][:])
    offers = _group(left, right, names, np.asarray(learn["is_match"][:], bool), settings)
    require_rows(NAME, [texts for texts in offers.texts_of.values() if len(texts) > 1], "learn", labels)
    if settings.negatives in ("mined", "both"):
        offers = _mine(offers, pool, encoder, settings)
    pairs = MeasuredPairs(left=validate_left, right=validate_right, is_match=np.asarray(chosen["is_match"][:], bool))
    return Contrast(settings, pool, offers, pairs, seed_for(NAME, labels.manifest.content_hash, data.seed))


def _group(left: np.ndarray, right: np.ndarray, names: Indexed, is_match: np.ndarray, settings: Settings) -> Offers:
    """Texts by product, and the texts that labels set apart from each product."""
    first: dict[int, int] = {}
    same_text = [
        (first.setdefault(text, product), product)
        for texts, products in zip((left, right), names.places, strict=True)
        for text, product in zip(texts.tolist(), products.tolist(), strict=True)
    ]
    matched = zip(*(places[is_match].tolist() for places in names.places), strict=True)
    joined = _join(len(names.texts), [*same_text, *matched])
    product_of = {text: joined[product] for text, product in first.items()}
    texts_of: dict[int, set[int]] = {}
    for text, product in product_of.items():
        texts_of.setdefault(product, set()).add(text)
    apart: dict[int, set[int]] = {}
    if settings.negatives in ("given", "both"):
        for one, other in zip(left[~is_match].tolist(), right[~is_match].tolist(), strict=True):
            if product_of[one] != product_of[other]:
                apart.setdefault(product_of[one], set()).add(other)
                apart.setdefault(product_of[other], set()).add(one)
    keys = {place: key_hash(str(name)) for place, name in enumerate(names.texts)}
    return Offers(keys=keys, product_of=product_of, texts_of=_sorted(texts_of), negatives_of=_sorted(apart))


def _join(count: int, same: Iterable[tuple[int, int]]) -> list[int]:
    """Product → the smallest product that is the same: a match or a text of both says so."""
    products = Components[int]()
    for one, other in same:
        products.join(one, other)
    return [products.find(product) for product in range(count)]


def _mine(offers: Offers, pool: TextPool, encoder: TextEncoder, settings: Settings) -> Offers:
    """Adds, to every product, the offers of others that lie nearest to its own."""
    texts = np.asarray(sorted(offers.product_of), np.int64)
    products = np.asarray([offers.product_of[int(text)] for text in texts], np.int64)
    vectors_ND = vectors_now(encoder, pool, texts)
    found = {product: set(near.tolist()) for product, near in offers.negatives_of.items()}
    nearest = find_nearest(
        vectors_ND, vectors_ND, lambda start, stop: products[start:stop, None] == products[None, :], settings.mined_from
    )
    for product, places in zip(products.tolist(), nearest, strict=True):
        found.setdefault(product, set()).update(texts[places].tolist())
    return replace(offers, negatives_of=_sorted(found))


def _sorted(groups: Mapping[int, Any]) -> dict[int, np.ndarray]:
    return {product: np.asarray(sorted(texts), np.int64) for product, texts in groups.items()}
