"""``class-ranking``: words, similar texts and (with vectors) centroids propose classes, and trees rank the proposals.

Without vectors it is what a good engineer ships: a dictionary of words that stand for one class, naive Bayes, nearest texts by
TF-IDF, and trees over all of that.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np

from m5model.partners.boosting import TreeSettings, fit_trees, load_trees, predict, save_trees
from m5model.partners.classes.folds import folds_of
from m5model.partners.classes.proposals import Evidence, Listings, Proposals, center_and_even, input_names
from m5model.partners.classes.space import ClassSpace
from m5model.partners.classes.words import Texts
from m5model.partners.data import PartnerData
from m5model.partners.inputs._tfidf import TfIdf
from m5model.partners.strategy import Given, Scores
from m5model.partners.vectors import Vectors
from schemas.errors import ConfigurationError

SUMMARY = "words, similar texts and centroids propose classes; gradient-boosted trees rank the proposals"
NEEDS = "labels with two listings a class, better ten; a student bundle"
COSTS = "the encoding of every text once, then a minute per 10,000 listings; no torch"
GOOD_FOR = "brands and product types where words say much: precise answers, and few of them wrong"
SERVES = ("classes",)
USES_VECTORS = True
TRAINS_ENCODER = False

MODEL_FILE, VECTORS_FILE = "classes.json", "learned.npz"


@dataclass(frozen=True, kw_only=True)
class Settings(TreeSettings):
    """The trees that rank."""

    trees: int = 250
    learning_rate: float = 0.05
    min_rows: int = 20


class ClassRanking:
    """Learned listings, and trees that rank the classes which they propose."""

    def __init__(
        self,
        classes: tuple[str, ...],
        tfidf: tuple[TfIdf, TfIdf],
        spaces: tuple[ClassSpace, ...],
        learned: Listings,
        label_N: np.ndarray,
        trees: lightgbm.Booster,
    ) -> None:
        self.classes = classes
        self._tfidf = tfidf
        self._spaces = spaces
        self._learned = learned
        self._label_N = label_N
        self._trees = trees
        self._evidence = Evidence(learned, label_N, len(classes))

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """The class that ranks first for each row and its probability; no class, and 0, where nothing was proposed."""
        proposals = self._evidence.propose(self._read(data, vectors, rows))
        values, said = np.zeros(len(rows)), np.full(len(rows), None, object)
        if len(proposals.listing):
            found = predict(self._trees, proposals.inputs)
            best = _best_of(proposals, found)
            values[proposals.listing[best]] = found[best]
            said[proposals.listing[best]] = np.asarray(self.classes, object)[proposals.label[best]]
        return Scores(values=values, predictions=said)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        described = {"classes": self.classes, "has_vectors": bool(self._spaces)}
        (folder / MODEL_FILE).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
        for part in self._tfidf:
            part.save(folder)
        for name, space in zip(("centred", "even"), self._spaces, strict=False):
            (folder / name).mkdir(exist_ok=True)
            space.save(folder / name)
        kept = {"labels": self._label_N}
        if self._learned.vectors is not None and self._learned.even is not None:
            kept |= {"vectors": self._learned.vectors, "even": self._learned.even}
        np.savez(folder / VECTORS_FILE, **kept)  # type: ignore[arg-type]
        self._learned.texts.save(folder)
        save_trees(self._trees, folder)

    def _read(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Listings:
        return _read(data.select(rows).texts(), self._tfidf, vectors, self._spaces)


def fit(given: Given, settings: Settings) -> ClassRanking:
    """Trees on proposals for listings of the split learn, each by evidence that lacks the listing's entity."""
    rows = given.learn()
    chosen = given.data.select(rows)
    texts = chosen.texts()
    names, label_N = np.unique(chosen.column("label").astype(str), return_inverse=True)
    words, pieces = TfIdf.fit("words", sorted(set(texts))), TfIdf.fit("pieces", sorted(set(texts)))
    spaces: tuple[ClassSpace, ...] = ()
    if given.vectors is not None:
        vectors_ND = given.vectors.of(texts)
        spaces = tuple(ClassSpace.fit(vectors_ND, label_N, form, given.vectors.space_id) for form in ("centred", "even"))
    learned = _read(texts, (words, pieces), given.vectors, spaces)
    trees = _fit_trees(learned, label_N, chosen.entity, len(names), given, settings)
    return ClassRanking(tuple(names.tolist()), (words, pieces), spaces, learned, label_N, trees)


def load(folder: Path) -> ClassRanking:
    said = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
    spaces = tuple(ClassSpace.load(folder / name) for name in ("centred", "even")) if said["has_vectors"] else ()
    with np.load(folder / VECTORS_FILE) as kept:
        vectors = [kept[name] if said["has_vectors"] else None for name in ("vectors", "even")]
        label_N = kept["labels"]
    learned = Listings(texts=Texts.load(folder), vectors=vectors[0], even=vectors[1])
    tfidf = TfIdf.load("words", folder), TfIdf.load("pieces", folder)
    return ClassRanking(tuple(said["classes"]), tfidf, spaces, learned, label_N, load_trees(folder))


def _read(texts: list[str], tfidf: tuple[TfIdf, TfIdf], vectors: Vectors | None, spaces: tuple[ClassSpace, ...]) -> Listings:
    """Listings as evidence sees them. Raises where the model knows vectors and there are none, or of another space."""
    if spaces:
        if vectors is None:
            raise ConfigurationError("the model was fitted with vectors, and there are none", next_step="give --bundle")
        spaces[0].require(vectors.space_id)
    plain = vectors.of(texts) if spaces and vectors is not None else None
    centred, even = center_and_even(plain, spaces)
    return Listings(texts=Texts.of(texts, *tfidf), vectors=centred, even=even)


def _fit_trees(
    learned: Listings, label_N: np.ndarray, entity: np.ndarray, classes: int, given: Given, settings: Settings
) -> lightgbm.Booster:
    """A proposal is a yes where it is the listing's class. Classes without another listing teach when to doubt."""
    inputs, targets = [], []
    for inside, outside in folds_of(entity):
        proposals = Evidence(learned.select(inside), label_N[inside], classes).propose(learned.select(outside))
        inputs.append(proposals.inputs)
        targets.append(proposals.label == label_N[outside][proposals.listing])
    if not inputs:
        raise ConfigurationError("all listings to learn from are of one entity", next_step="give listings of several products")
    matrix, truth = np.concatenate(inputs), np.concatenate(targets)
    return fit_trees(
        matrix,
        truth,
        np.ones(len(truth)),
        settings,
        objective="binary",
        names=input_names(has_vectors=given.vectors is not None),
        seed=given.seed,
        threads=given.threads,
    )


def _best_of(proposals: Proposals, values: np.ndarray) -> np.ndarray:
    """The place of the best proposal of each listing that has one."""
    order = np.lexsort((-values, proposals.listing))
    first = np.append(True, np.diff(proposals.listing[order]) != 0)
    return order[first]
