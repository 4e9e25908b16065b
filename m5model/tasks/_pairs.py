"""One number for two texts: what near duplicates, query relevance and clicks share. The logit of a yes.

    cosine         scale · cos(u, v) + bias, both learned: two vectors, cheap at any number of pairs
    concatenation  linear on (u, v, |u - v|, u · v) (Reimers and Gurevych 2019)
    cross          one text of both, [CLS] a [SEP] b [SEP]: the encoder compares tokens; exact, and a pass for every pair

Tensor suffixes: B pairs, D hidden size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from m5model.data.randomness import seed_for
from m5model.encoders.encoder import TextEncoder, without_dropout
from m5model.tasks import Batching, Examples, TaskData
from m5model.tasks._texts import Indexed, TextBatch, TextPool, encode_all, encode_texts, open_pool, require_rows, sample_rows
from schemas.checks import is_number, is_whole, require

Form = Literal["cosine", "concatenation", "cross"]
FORMS = ("cosine", "concatenation", "cross")
# A cosine of 1 above the mean is a logit of this much at first.
INITIAL_SCALE = 5.0
# The mean cosine is taken over so many pairs of texts that have nothing to do with each other.
CALIBRATION_ROWS = 128
EVALUATION_ROWS = 2_048
# Ranks from this one on share a bias.
LAST_PLACE = 20


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """The part of a recipe that tasks on two texts share. Raises ConfigurationError that lists every problem at once."""

    form: Form = "cosine"
    token_budget: int = 2_048  # tokens per step of both texts, padding included
    positive_weight: float = 1.0  # of a yes, against a no

    def __post_init__(self) -> None:
        require(
            "pair settings",
            {
                f"form is {self.form!r}, expected one of {', '.join(FORMS)}": self.form in FORMS,
                f"token_budget is {self.token_budget}, expected 16 or more tokens": is_whole(self.token_budget, 16),
                f"positive_weight is {self.positive_weight}, expected above 0": is_number(self.positive_weight, 0)
                and self.positive_weight > 0,
            },
        )


@dataclass(frozen=True, kw_only=True)
class LabelledPairs:
    """Pairs of one split, as texts."""

    left: Sequence[str]
    right: Sequence[str]
    targets: np.ndarray  # (n,) float32: how much of a yes, 0 to 1
    weights: np.ndarray  # (n,) float32
    keys: np.ndarray  # (n,) int64
    groups: np.ndarray | None = None  # (n,) int64: the query, where pairs are ranked
    places: np.ndarray | None = None  # (n,) int64: rank at which it was shown, 1 first, 0 unknown; its bias is learned apart


@dataclass(frozen=True, kw_only=True)
class PairBatch:
    """Texts of B pairs (the left ones, then the right ones; one of both for "cross") and what is true of them."""

    TARGETS: ClassVar = ("targets_B",)
    texts: TextBatch
    targets_B: np.ndarray
    weights_B: np.ndarray
    places_B: np.ndarray

    @property
    def tokens(self) -> int:
        return self.texts.tokens


class PairHead(nn.Module):
    """Logits (B,) of vectors: (2B, D), or (B, D) of texts that are pairs already."""

    def __init__(self, form: Form, encoder: TextEncoder, has_places: bool) -> None:
        super().__init__()
        self.form = form
        if form == "cosine":
            self.scale = nn.Parameter(torch.tensor(INITIAL_SCALE))
            self.mean = nn.Parameter(torch.zeros(()))  # cosine of a logit of 0
        else:
            self.dense = nn.Linear(encoder.hidden_size * (4 if form == "concatenation" else 1), 1)
            nn.init.normal_(self.dense.weight, std=encoder.initial_deviation)
            nn.init.zeros_(self.dense.bias)
        self.places = nn.Embedding(LAST_PLACE + 1, 1) if has_places else None
        if self.places is not None:
            nn.init.zeros_(self.places.weight)

    def forward(self, vectors: Tensor, places_B: Tensor) -> Tensor:
        logits_B = self._compare(vectors)
        return logits_B if self.places is None else logits_B + self.places(places_B.clamp(max=LAST_PLACE)).squeeze(1)

    def _compare(self, vectors: Tensor) -> Tensor:
        if self.form == "cross":
            own_B: Tensor = self.dense(vectors * vectors.shape[1] ** 0.5).squeeze(1)
            return own_B
        left_BD, right_BD = vectors.chunk(2)
        if self.form == "cosine":
            return self.scale * ((left_BD * right_BD).sum(1) - self.mean)
        root = left_BD.shape[1] ** 0.5
        features = torch.cat([left_BD, right_BD, (left_BD - right_BD).abs(), left_BD * right_BD * root], 1) * root
        both_B: Tensor = self.dense(features).squeeze(1)
        return both_B


@dataclass(frozen=True, kw_only=True)
class PairMetric:
    """The metric of a task on pairs."""

    name: str
    score: Callable[[np.ndarray, LabelledPairs], float]  # of logits (n,) and the pairs that they are of
    lower_is_better: bool = False


class PairTask:
    """The task; see m5model.tasks.Task."""

    def __init__(
        self,
        name: str,
        settings: PairSettings,
        head: PairHead,
        pool: TextPool,
        pairs: Mapping[str, tuple[LabelledPairs, np.ndarray, np.ndarray]],
        metric: PairMetric,
        seed: int,
    ) -> None:
        self.name = name
        self.head = head
        self.outcomes = 2
        self.metric = metric.name
        self.lower_is_better = metric.lower_is_better
        self.seed = seed
        self.batching = Batching(token_budget=settings.token_budget)
        self._positive_weight = settings.positive_weight
        self._pool = pool
        self._pairs = pairs
        learn, left, right = pairs["learn"]
        lengths = pool.lengths[left] + (0 if head.form == "cross" else pool.lengths[right])
        self.examples = Examples(keys=learn.keys, lengths=lengths)
        self._score = metric.score
        self._chosen = sample_rows(pairs["validate"][0].keys, EVALUATION_ROWS)
        self.measured_on = f"{len(self._chosen):,} pairs of the split validate"

    def batch(self, step: int, rows: np.ndarray) -> PairBatch:
        return self._batch("learn", rows)

    def logits(self, encoder: TextEncoder, batch: PairBatch) -> Tensor:
        """Logits (B,)."""
        logits_B: Tensor = self.head(encode_texts(encoder, batch.texts), _tensor(batch.places_B, encoder))
        return logits_B

    def loss(self, logits: Tensor, batch: PairBatch) -> Tensor:
        targets_B = torch.from_numpy(batch.targets_B).to(logits.device)
        weights_B = torch.from_numpy(batch.weights_B).to(logits.device) * (1 + (self._positive_weight - 1) * targets_B)
        losses_B = nn.functional.binary_cross_entropy_with_logits(logits.float(), targets_B, weights_B, reduction="none")
        return losses_B.sum() / weights_B.sum()

    def measure(self, encoder: TextEncoder) -> float:
        return self._score(self.scores(encoder, "validate", self._chosen), _select(self._pairs["validate"][0], self._chosen))

    @torch.no_grad()
    def scores(self, encoder: TextEncoder, split: str, rows: np.ndarray | None = None) -> np.ndarray:
        """Logits (n,) float32 of the pairs of a split, or of these of its rows."""
        pairs, left, right = self._pairs[split]
        rows = np.arange(len(pairs.keys)) if rows is None else rows
        texts = left[rows] if self.head.form == "cross" else np.concatenate([left[rows], right[rows]])
        logits = self.head(encode_all(encoder, self._pool, texts), _tensor(_places(pairs, rows), encoder))
        scores: np.ndarray = logits.float().cpu().numpy()
        return scores

    @torch.no_grad()
    def calibrate(self, encoder: TextEncoder) -> None:
        """Let the logit be 0 at the mean cosine of unrelated texts: an encoder's cosines may all be near 1 at first."""
        _, left, right = self._pairs["learn"]
        rows = sample_rows(self.examples.keys, CALIBRATION_ROWS)
        vectors = encode_all(encoder, self._pool, np.concatenate([left[rows], np.roll(right[rows], 1)]))
        one, other = vectors.chunk(2)
        self.head.mean.copy_((one * other).sum(1).mean())

    def _batch(self, split: str, rows: np.ndarray) -> PairBatch:
        pairs, left, right = self._pairs[split]
        texts = left[rows] if self.head.form == "cross" else np.concatenate([left[rows], right[rows]])
        return PairBatch(
            texts=self._pool.batch(texts),
            targets_B=pairs.targets[rows],
            weights_B=pairs.weights[rows],
            places_B=_places(pairs, rows),
        )


def build_pairs(
    name: str,
    settings: PairSettings,
    encoder: TextEncoder,
    data: TaskData,
    pairs: Mapping[str, LabelledPairs],
    metric: PairMetric,
) -> PairTask:
    """The task on these pairs by split, with a new head (drawn from torch's generator)."""
    if data.labels is not None:
        for split in ("learn", "validate"):
            require_rows(name, pairs[split].left, split, data.labels)
    indexed = _index(settings.form, pairs)
    has_places = any(one.places is not None for one in pairs.values())
    head = PairHead(settings.form, encoder, has_places).to(encoder.device)
    sides = indexed.places
    placed = {split: (one, sides[2 * i], sides[2 * i + 1]) for i, (split, one) in enumerate(pairs.items())}
    seed = seed_for(name, data.labels.manifest.content_hash if data.labels else "", data.seed)
    task = PairTask(name, settings, head, open_pool(indexed.texts, data), placed, metric, seed)
    if settings.form == "cosine":
        with without_dropout(encoder):
            task.calibrate(encoder)
    return task


def _index(form: Form, pairs: Mapping[str, LabelledPairs]) -> Indexed:
    if form != "cross":
        return Indexed.of(*(side for one in pairs.values() for side in (one.left, one.right)))
    both = [list(zip(one.left, one.right, strict=True)) for one in pairs.values()]
    return Indexed.of(*(side for one in both for side in (one, one)))


def _select(pairs: LabelledPairs, rows: np.ndarray) -> LabelledPairs:
    return LabelledPairs(
        left=[pairs.left[row] for row in rows],
        right=[pairs.right[row] for row in rows],
        targets=pairs.targets[rows],
        weights=pairs.weights[rows],
        keys=pairs.keys[rows],
        groups=None if pairs.groups is None else pairs.groups[rows],
        places=None if pairs.places is None else pairs.places[rows],
    )


def _places(pairs: LabelledPairs, rows: np.ndarray) -> np.ndarray:
    return np.zeros(len(rows), np.int64) if pairs.places is None else pairs.places[rows]


def _tensor(array: np.ndarray, encoder: TextEncoder) -> Tensor:
    return torch.from_numpy(array).to(encoder.device)
