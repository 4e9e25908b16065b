"""``centroids``: a class is the mean of its listings' vectors, and a listing is of the nearest class. Nothing is fine-tuned.

The confidence of an answer is the probability that it is right, by a logistic curve over the best cosine, its lead and the
number of listings behind the class, fitted on listings that were left out of the centroids.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from m5model.partners.classes.centroids import Centroids
from m5model.partners.classes.folds import folds_of
from m5model.partners.classes.space import FORMS, ClassSpace, Form
from m5model.partners.data import PartnerData
from m5model.partners.strategy import Given, Scores
from m5model.partners.vectors import Vectors
from schemas.checks import require, true_or_false
from schemas.errors import ConfigurationError
from schemas.partner import LANGUAGE

SUMMARY = "a class is the mean of its listings' vectors; a listing is of the nearest one"
NEEDS = "labels with one listing a class, better ten; a student bundle"
COSTS = "the encoding of every text once, then a second; no torch"
GOOD_FOR = "many classes with few listings, classes that come and go: a new one is one mean more"
SERVES = ("classes",)
USES_VECTORS = True
TRAINS_ENCODER = False

MODEL_FILE = "classes.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ConfigurationError that lists every problem at once."""

    space: Form = "even"  # plain: as the bundle gives them; centred: without their mean; even: Fisher's discriminant
    trimmed: bool = False  # centroids without the fifth of a class's listings that lies furthest
    per_language: bool = False  # a centroid a language, where a class has listings enough

    def __post_init__(self) -> None:
        rules = {f"space is {self.space!r}, expected one of {', '.join(FORMS)}": self.space in FORMS}
        require("settings of centroids", rules | true_or_false(self, "trimmed", "per_language"))


class CentroidModel:
    """Classes, their centroids, and how far an answer can be trusted."""

    def __init__(self, classes: tuple[str, ...], space: ClassSpace, centroids: Centroids, curve: np.ndarray) -> None:
        self.classes = classes
        self.space = space
        self.centroids = centroids
        self._curve = curve  # (4,) of lead, cosine, log of listings, and a constant

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """The nearest class of each row, and the probability that it is the right one."""
        chosen = data.select(rows)
        vectors_BD = self.space.apply(read_vectors(chosen, vectors, self.space))
        found_BC = self.centroids.similarities(vectors_BD, chosen.column(LANGUAGE).tolist())
        best, marks = _best(found_BC, self.centroids.counts)
        values = 1 / (1 + np.exp(-(marks @ self._curve[:3] + self._curve[3])))
        return Scores(values=values, predictions=np.asarray(self.classes, object)[best])

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        described = {"classes": self.classes, "curve": self._curve.tolist()}
        (folder / MODEL_FILE).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
        self.space.save(folder)
        self.centroids.save(folder)


def fit(given: Given, settings: Settings) -> CentroidModel:
    """Centroids of the split learn; the curve of confidence by folds of it."""
    rows = given.learn()
    chosen = given.data.select(rows)
    vectors_BD = read_vectors(chosen, given.vectors)
    names, label_B = np.unique(chosen.column("label").astype(str), return_inverse=True)
    space_id = given.vectors.space_id if given.vectors else ""
    space = ClassSpace.fit(vectors_BD, label_B, settings.space, space_id)
    languages: list[str | None] = chosen.column(LANGUAGE).tolist()
    curve = _fit_curve(space.apply(vectors_BD), label_B, len(names), languages, chosen.entity, settings)
    centroids = _centroids(space.apply(vectors_BD), label_B, len(names), languages, settings)
    return CentroidModel(tuple(names.tolist()), space, centroids, curve)


def load(folder: Path) -> CentroidModel:
    said = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
    return CentroidModel(tuple(said["classes"]), ClassSpace.load(folder), Centroids.load(folder), np.asarray(said["curve"]))


def read_vectors(chosen: PartnerData, vectors: Vectors | None, space: ClassSpace | None = None) -> np.ndarray:
    """Vectors (B, D) of the rows' texts. Raises where there are none, or where they are of another space."""
    if vectors is None:
        raise ConfigurationError("centroids are means of vectors, and there are none", next_step="give --bundle")
    if space is not None:
        space.require(vectors.space_id)
    return vectors.of(chosen.texts())


def with_forms(settings: Settings) -> dict[str, Settings]:
    """The three forms of centroids, in the space that is set."""
    return {
        "plain": replace(settings, trimmed=False, per_language=False),
        "trimmed": replace(settings, trimmed=True, per_language=False),
        "per_language": replace(settings, trimmed=False, per_language=True),
    }


def _centroids(
    vectors_BD: np.ndarray, label_B: np.ndarray, classes: int, languages: list[str | None], settings: Settings
) -> Centroids:
    own = [one or "" for one in languages] if settings.per_language else None
    return Centroids.fit(vectors_BD, label_B, classes, own, trimmed=settings.trimmed)


def _fit_curve(
    vectors_BD: np.ndarray,
    label_B: np.ndarray,
    classes: int,
    languages: list[str | None],
    entity: np.ndarray,
    settings: Settings,
) -> np.ndarray:
    """A logistic curve (4,) through answers to listings whose entity was left out of the centroids."""
    marks, right = [], []
    for inside, outside in folds_of(entity):
        spoken = [languages[place] for place in inside]
        found = _centroids(vectors_BD[inside], label_B[inside], classes, spoken, settings)
        cosines = found.similarities(vectors_BD[outside], [languages[place] for place in outside])
        best, said = _best(cosines, found.counts)
        marks.append(said)
        right.append(best == label_B[outside])
    all_right = np.concatenate(right) if right else np.zeros(0, bool)
    if not all_right.any() or all_right.all():
        return np.asarray([1.0, 1.0, 0.0, 0.0])  # nothing to learn from: by the lead and the cosine alone
    fitted = LogisticRegression(C=10.0, max_iter=1_000).fit(np.concatenate(marks), all_right)
    return np.append(fitted.coef_[0], fitted.intercept_[0])


def _best(cosines_BC: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest class (B,), and (B, 3): its lead over the next one, its cosine, and the log of its listings."""
    best = cosines_BC.argmax(axis=1)
    cosine = cosines_BC[np.arange(len(best)), best]
    next_best = np.partition(cosines_BC, -2, axis=1)[:, -2] if cosines_BC.shape[1] > 1 else np.full(len(best), -1.0)
    return best, np.stack([cosine - next_best, cosine, np.log1p(counts[best])], axis=1).astype(np.float64)
