"""Query relevance: how well does a listing answer what a customer typed? Grades are learned as probabilities of a yes."""

from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from m5model.encoders.encoder import TextEncoder
from m5model.tasks import TaskData
from m5model.tasks._metrics import ndcg
from m5model.tasks._pairs import LabelledPairs, PairMetric, PairSettings, PairTask, build_pairs
from m5model.tasks._texts import Indexed, require_labels

NAME = "query_relevance"
LABELS = "relevance"
CUT = 10  # results that a customer looks at


@dataclass(frozen=True, kw_only=True)
class Settings(PairSettings):
    """The task's part of a recipe."""


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> PairTask:
    """The task on this label set, with a new head for this encoder (drawn from torch's generator)."""
    labels = require_labels(NAME, LABELS, data)
    pairs = {split: _read(rows) for split, rows in labels.splits.items()}
    return build_pairs(NAME, settings, encoder, data, pairs, PairMetric(name=f"ndcg_{CUT}", score=_score))


def _read(rows: Dataset) -> LabelledPairs:
    queries = rows["query"][:]
    return LabelledPairs(
        left=queries,
        right=rows["text"][:],
        targets=np.asarray(rows["gain"][:], np.float32),
        weights=np.ones(len(rows), np.float32),
        keys=np.asarray(rows["key"][:], np.int64),
        groups=Indexed.of(queries).places[0],
    )


def _score(scores: np.ndarray, pairs: LabelledPairs) -> float:
    groups = np.arange(len(scores)) if pairs.groups is None else pairs.groups
    return ndcg(scores, pairs.targets, groups, CUT)
