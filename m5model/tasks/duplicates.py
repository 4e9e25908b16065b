"""Near duplicates and close matches: are two listings the same product?"""

from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from m5model.encoders.encoder import TextEncoder
from m5model.tasks import TaskData
from m5model.tasks._metrics import average_precision
from m5model.tasks._pairs import LabelledPairs, PairMetric, PairSettings, PairTask, build_pairs
from m5model.tasks._texts import require_labels

NAME = "duplicates"
LABELS = "pairs"


@dataclass(frozen=True, kw_only=True)
class Settings(PairSettings):
    """The task's part of a recipe."""


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> PairTask:
    """The task on this label set, with a new head for this encoder (drawn from torch's generator)."""
    labels = require_labels(NAME, LABELS, data)
    pairs = {split: read_pairs(rows) for split, rows in labels.splits.items()}
    return build_pairs(NAME, settings, encoder, data, pairs, PairMetric(name="average_precision", score=score_pairs))


def read_pairs(rows: Dataset) -> LabelledPairs:
    """The pairs of one split of a label set."""
    return LabelledPairs(
        left=rows["left_text"][:],
        right=rows["right_text"][:],
        targets=np.asarray(rows["is_match"][:], np.float32),
        weights=np.ones(len(rows), np.float32),
        keys=np.asarray(rows["key"][:], np.int64),
    )


def score_pairs(scores: np.ndarray, pairs: LabelledPairs) -> float:
    """Average precision."""
    return average_precision(scores, pairs.targets > 0.5)
