"""Learns what goes with what: two things of one session against the others of the batch. Shared by co-view and co-purchase.

The one side goes through a matrix of its own, which begins as the identity: what is bought together is seldom alike.
Tensor suffixes: B sessions, D hidden size, N and M texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from m5model.data.keys import key_hash
from m5model.data.randomness import generator_for, seed_for
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import Batching, Examples, TaskData
from m5model.tasks._contrast import batch_rules, contrastive_loss
from m5model.tasks._metrics import mean_reciprocal_rank
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
from schemas.checks import require

KIND = "sessions"
# The rank of what went with the first thing of at most so many sessions, among all things of these.
EVALUATION_SESSIONS = 512


@dataclass(frozen=True, kw_only=True)
class SessionSettings:
    """The part of a recipe that tasks on sessions share. Raises ConfigurationError that lists every problem at once."""

    batch_rows: int = 32  # sessions a step
    temperature: float = 0.05  # of cosines

    def __post_init__(self) -> None:
        require(
            "session settings",
            {
                **batch_rules(self.batch_rows, self.temperature),
            },
        )


@dataclass(frozen=True, kw_only=True)
class SessionRows:
    """Sessions of one split that have two or more different things, in the order in which they came."""

    things: tuple[np.ndarray, ...]  # of each session: places in the pool
    keys: np.ndarray  # (n,) int64


@dataclass(frozen=True, kw_only=True)
class TogetherBatch:
    """The one thing of B sessions, then the other one."""

    texts: TextBatch
    positive_BB: np.ndarray  # bool: the other thing of the session
    allowed_BB: np.ndarray  # bool: all but what goes together in some other session

    @property
    def tokens(self) -> int:
        return self.texts.tokens


class CompanionHead(nn.Linear):
    """A matrix (D, D) that begins as the identity: vectors (B, D) to where their companions are looked for, of unit length."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__(hidden_size, hidden_size, bias=False)
        nn.init.eye_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.normalize(super().forward(input).float(), dim=-1)


class Together:
    """The task; see m5model.tasks.Task."""

    metric = "mean_reciprocal_rank"
    lower_is_better = False

    def __init__(
        self,
        name: str,
        settings: SessionSettings,
        head: CompanionHead,
        pool: TextPool,
        rows: Mapping[str, SessionRows],
        seed: int,
    ) -> None:
        self.name = name
        self.head = head
        self.seed = seed
        self.batching = Batching(batch_rows=settings.batch_rows)
        self._temperature = settings.temperature
        self._pool = pool
        self._learn = rows["learn"]
        self.outcomes = min(settings.batch_rows, len(self._learn.keys))
        lengths = [int(pool.lengths[things].mean()) for things in self._learn.things]
        self.examples = Examples(keys=self._learn.keys, lengths=np.asarray(lengths, np.int64))
        self._together = {
            (int(one), int(other)) for things in self._learn.things for one in things for other in things if one != other
        }
        validate = rows["validate"]
        self._measured = [validate.things[row] for row in sample_rows(validate.keys, EVALUATION_SESSIONS)]
        self.measured_on = f"{len(self._measured):,} sessions of the split validate"

    def batch(self, step: int, rows: np.ndarray) -> TogetherBatch:
        draw = generator_for("companions", self.seed, step)
        ones, others = np.stack([draw.choice(self._learn.things[row], 2, replace=False) for row in rows]).T
        own_BB = np.eye(len(rows), dtype=bool)
        apart_BB = [[one != other and (one, other) not in self._together for other in others.tolist()] for one in ones.tolist()]
        return TogetherBatch(
            texts=self._pool.batch(np.concatenate([ones, others])),
            positive_BB=own_BB,
            allowed_BB=own_BB | np.asarray(apart_BB),
        )

    def logits(self, encoder: TextEncoder, batch: TogetherBatch) -> Tensor:
        """Cosines by the temperature (B, B), of each one thing and every other one."""
        one_BD, other_BD = encode_texts(encoder, batch.texts).chunk(2)
        logits_BB: Tensor = self.head(one_BD) @ other_BD.T / self._temperature
        return logits_BB

    def loss(self, logits: Tensor, batch: TogetherBatch) -> Tensor:
        positive_BB, allowed_BB = (torch.from_numpy(mask).to(logits.device) for mask in (batch.positive_BB, batch.allowed_BB))
        return contrastive_loss(logits, positive_BB, allowed_BB)

    @torch.no_grad()
    def measure(self, encoder: TextEncoder) -> float:
        things = np.unique(np.concatenate(self._measured))
        vectors_MD = encode_all(encoder, self._pool, things)
        first = np.searchsorted(things, [session[0] for session in self._measured])
        scores_NM = (self.head(vectors_MD[first]) @ vectors_MD.T).cpu().numpy()
        positive_NM = np.stack([np.isin(things, session[1:]) for session in self._measured])
        scores_NM[np.arange(len(first)), first] = -np.inf  # a thing is no companion of itself
        return mean_reciprocal_rank(scores_NM, positive_NM)


def build_together(name: str, event: str, settings: SessionSettings, encoder: TextEncoder, data: TaskData) -> Together:
    """The task on the events of that name, with a new head."""
    labels = require_labels(name, KIND, data)
    found = {split: _sessions(rows, event) for split, rows in labels.splits.items()}
    for split in ("learn", "validate"):
        require_rows(name, list(found[split]), split, labels)
    indexed = Indexed.of(*([text for things in sessions.values() for text in things] for sessions in found.values()))
    rows = {
        split: SessionRows(things=_cut(places, [len(things) for things in sessions.values()]), keys=_keys(sessions))
        for (split, sessions), places in zip(found.items(), indexed.places, strict=True)
    }
    seed = seed_for(name, labels.manifest.content_hash, data.seed)
    return Together(name, settings, CompanionHead(encoder.hidden_size), open_pool(indexed.texts, data), rows, seed)


def _sessions(rows: Dataset, event: str) -> dict[str, list[str]]:
    """Session → its different texts in the order of their steps, where there are two or more; sorted by session."""
    events = sorted(
        (session, step, text)
        for session, step, text, kind in zip(*(rows[name][:] for name in ("session", "step", "text", "event")), strict=True)
        if kind == event
    )
    found: dict[str, dict[str, None]] = {}
    for session, _, text in events:
        found.setdefault(session, {})[text] = None
    return {session: list(texts) for session, texts in found.items() if len(texts) > 1}


def _cut(places: np.ndarray, sizes: list[int]) -> tuple[np.ndarray, ...]:
    return tuple(np.split(places, np.cumsum(sizes)[:-1])) if sizes else ()


def _keys(sessions: Mapping[str, object]) -> np.ndarray:
    return np.asarray([key_hash(session) for session in sessions], np.int64)
