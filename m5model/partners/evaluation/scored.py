"""Scores of rows beside what is true of them: what every metric reads."""

from dataclasses import dataclass, replace

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.evaluation.answers import KINDS as ANSWER_KINDS
from m5model.partners.evaluation.answers import read_truth
from schemas.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Rows (n) that were scored. Arrays that are None do not exist for the label kind."""

    scores: np.ndarray  # (n,) float64: more is more likely; or (n, c) of classes
    targets: np.ndarray  # (n,): is_match bool; gain or click rate float64; class or value as text (object)
    entity: np.ndarray  # (n,) whose the row is: intervals resample these
    weights: np.ndarray  # (n,) float64: impressions of clicks, else 1
    query: np.ndarray | None = None  # (n,) what rows are ranked for
    query_id: np.ndarray | None = None  # (n,) int64: equal where queries are
    row: np.ndarray | None = None  # (n,) int64: which row it is, where the same may come several times
    classes: tuple[str, ...] = ()  # of the columns of scores
    predictions: np.ndarray | None = None  # (n,) text: the value that is predicted, where that is no class
    threshold: float | None = None  # from which score on it is a yes; chosen on other rows
    right: np.ndarray | None = None  # (n,) bool, of classes and values: is the prediction true?
    stated: np.ndarray | None = None  # (n,) bool, of classes and values: is there an answer at all?

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, rows: np.ndarray) -> "Scored":
        """These rows alone; a row may come several times."""
        return replace(
            self,
            scores=self.scores[rows],
            targets=self.targets[rows],
            entity=self.entity[rows],
            weights=self.weights[rows],
            query=None if self.query is None else self.query[rows],
            query_id=None if self.query_id is None else self.query_id[rows],
            row=None if self.row is None else self.row[rows],
            predictions=None if self.predictions is None else self.predictions[rows],
            right=None if self.right is None else self.right[rows],
            stated=None if self.stated is None else self.stated[rows],
        )


def predicted(scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """The value that is predicted of every row (n,), None where there is none, and its score (n,)."""
    return _best(scored.scores, scored.classes, scored.predictions)


def _best(scores: np.ndarray, classes: tuple[str, ...], predictions: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if predictions is not None:
        return predictions, scores
    best = scores.argmax(axis=1)
    return np.asarray(classes, object)[best], scores[np.arange(len(best)), best]


def pair_with_truth(
    data: PartnerData,
    rows: np.ndarray,
    scores: np.ndarray,
    *,
    classes: tuple[str, ...] = (),
    predictions: np.ndarray | None = None,
    threshold: float | None = None,
) -> Scored:
    """The scores (k,) or (k, c) of the rows (k,) of ``data``, with the truth of their label kind."""
    kind = data.partner.labels.name
    chosen = data.select(rows)
    weights, query, right, stated = np.ones(len(rows)), None, None, None
    if kind == "pairs":
        targets = chosen.column("is_match").astype(bool)
    elif kind == "clicks":
        weights = chosen.column("impressions").astype(np.float64)
        targets = chosen.column("clicks").astype(np.float64) / weights
    elif kind == "relevance":
        targets, query = chosen.column("gain").astype(np.float64), chosen.column("query")
    elif kind in ANSWER_KINDS:
        truth = read_truth(data, rows)
        targets, weights, stated = truth.targets, truth.weights, truth.stated
        if classes or predictions is not None:
            right = truth.is_right(_best(scores, classes, predictions)[0])
    else:
        raise ConfigurationError(f"labels of kind {kind} are not scored", next_step="give a partner whose labels are judged")
    return Scored(
        scores=np.asarray(scores, np.float64),
        targets=targets,
        entity=chosen.entity,
        weights=weights,
        query=query,
        query_id=None if query is None else np.unique(query, return_inverse=True)[1],
        row=np.asarray(rows, np.int64),
        classes=classes,
        predictions=predictions,
        threshold=threshold,
        right=right,
        stated=stated,
    )
