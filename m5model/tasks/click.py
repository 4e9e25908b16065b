"""Click: how likely is a listing clicked where it is shown (a query, a category, a slot)?

The rank at which it was shown has a bias of its own, so that the texts need not explain it (Joachims et al. 2017).
"""

from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from m5model.encoders.encoder import TextEncoder
from m5model.tasks import TaskData
from m5model.tasks._pairs import Form, LabelledPairs, PairMetric, PairSettings, PairTask, build_pairs
from m5model.tasks._texts import require_labels

NAME = "click"
LABELS = "clicks"
# A text for listings that were shown nowhere in particular: no text has no tokens.
NOWHERE = "-"


@dataclass(frozen=True, kw_only=True)
class Settings(PairSettings):
    """The task's part of a recipe."""

    form: Form = "concatenation"  # how often a listing is clicked depends on itself as well, not only on its likeness


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> PairTask:
    """The task on this label set, with a new head for this encoder (drawn from torch's generator)."""
    labels = require_labels(NAME, LABELS, data)
    pairs = {split: _read(rows) for split, rows in labels.splits.items()}
    return build_pairs(NAME, settings, encoder, data, pairs, PairMetric(name="log_loss", score=_score, lower_is_better=True))


def _read(rows: Dataset) -> LabelledPairs:
    impressions = np.asarray(rows["impressions"][:], np.float32)
    clicks = np.asarray(rows["clicks"][:], np.float32)
    return LabelledPairs(
        left=[context or NOWHERE for context in rows["context"][:]],
        right=rows["text"][:],
        targets=clicks / np.maximum(impressions, 1),
        weights=impressions,
        keys=np.asarray(rows["key"][:], np.int64),
        places=np.asarray([position or 0 for position in rows["position"][:]], np.int64),
    )


def _score(scores: np.ndarray, pairs: LabelledPairs) -> float:
    """Mean cross-entropy, nats per impression."""
    losses = np.logaddexp(0, scores) - pairs.targets * scores
    return float((losses * pairs.weights).sum() / pairs.weights.sum())
