"""``crosses``: logistic regression on hashed values and on every pair of them, as click models were long built.

Numbers are cut into bins of equally many rows. Source: the wide part of Cheng et al. 2016; hashing by Weinberger et al. 2009.
"""

import json
import zlib
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from m5model.partners.click_columns import ClickColumns
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.metrics.binary import probability_loss
from m5model.partners.evaluation.scored import pair_with_truth
from m5model.partners.networks import to_probability
from m5model.partners.strategy import Given, Scores
from m5model.partners.vectors import Vectors
from schemas.checks import at_least, is_number, require

SUMMARY = "logistic regression on hashed values and their pairs"
NEEDS = "clicks with evidence; no bundle"
COSTS = "a minute; no torch"
GOOD_FOR = "a second opinion beside trees; many rows of few columns"
SERVES = ("clicks",)
USES_VECTORS = False
TRAINS_ENCODER = False

COLUMNS_FILE, WEIGHTS_FILE = "columns.json", "weights.npz"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Raises ConfigurationError that lists every problem at once."""

    buckets: int = 131_072  # that values and pairs are hashed to
    bins: int = 10  # of a number
    strengths: tuple[float, ...] = (0.003, 0.03, 0.3)  # inverse of the penalty on weights; the best on validate is taken

    def __post_init__(self) -> None:
        rules = at_least(self, buckets=2, bins=2)
        rules[f"strengths are {self.strengths!r}, expected numbers above 0"] = bool(self.strengths) and all(
            is_number(one, 1e-9) for one in self.strengths
        )
        require("settings of crosses", rules)


@dataclass(frozen=True, kw_only=True)
class Crosses:
    """A weight for every bucket."""

    columns: ClickColumns
    edges: dict[str, list[float]]  # between the bins of each number
    weights: np.ndarray  # (buckets,)
    bias: float

    def matrix(self, data: PartnerData, rows: np.ndarray) -> sp.csr_matrix:
        """Counts (k, buckets) of the values of each row, and of every pair of them."""
        return hash_crosses(self.columns, self.edges, data.select(rows), len(self.weights))

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """Probabilities (k,)."""
        return Scores(values=to_probability(self.matrix(data, rows) @ self.weights + self.bias))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        said = {"columns": asdict(self.columns), "edges": self.edges, "bias": self.bias}
        (folder / COLUMNS_FILE).write_text(json.dumps(said), encoding="utf-8")
        np.savez(folder / WEIGHTS_FILE, weights=self.weights)


def fit(given: Given, settings: Settings) -> Crosses:
    """The penalty with the lowest loss on validate."""
    learn, validate = given.learn(), given.data.rows_of("validate")
    columns = ClickColumns.of(given.data, learn)
    numbers = columns.number_matrix(given.data.select(learn))
    shares = np.linspace(0, 1, settings.bins + 1)[1:-1]
    edges = {
        name: sorted(set(np.nanquantile(numbers[:, place], shares).tolist())) for place, name in enumerate(columns.numbers)
    }
    empty = Crosses(columns=columns, edges=edges, weights=np.zeros(settings.buckets), bias=0.0)
    learned = empty.matrix(given.data, learn)
    models = [_regress(empty, learned, given.data, learn, strength) for strength in settings.strengths]
    return min(models, key=lambda model: _loss(model, given.data, validate))


def _regress(empty: Crosses, matrix: sp.csr_matrix, data: PartnerData, rows: np.ndarray, strength: float) -> Crosses:
    """Every impression is a click or none: rows count twice, weighted by both."""
    truth = pair_with_truth(data, rows, np.zeros(len(rows)))
    weights = np.concatenate([truth.targets * truth.weights, (1 - truth.targets) * truth.weights])
    outcome = np.repeat([1, 0], len(rows))
    kept = np.flatnonzero(weights > 0)
    model = LogisticRegression(C=strength, max_iter=200)
    model.fit(sp.vstack([matrix, matrix]).tocsr()[kept], outcome[kept], sample_weight=weights[kept])
    return Crosses(columns=empty.columns, edges=empty.edges, weights=model.coef_[0], bias=float(model.intercept_[0]))


def _loss(model: Crosses, data: PartnerData, rows: np.ndarray) -> float:
    return probability_loss(pair_with_truth(data, rows, model.scores(data, None, rows).values))


def hash_crosses(columns: ClickColumns, edges: dict[str, list[float]], chosen: PartnerData, buckets: int) -> sp.csr_matrix:
    """(k, buckets) float64."""
    numbers = columns.number_matrix(chosen)
    binned = [
        np.where(np.isfinite(numbers[:, place]), np.searchsorted(edges[name], numbers[:, place]), -1)
        for place, name in enumerate(columns.numbers)
    ]
    fields = [[f"{name}={one}" for one in found] for name, found in zip(columns.numbers, binned, strict=True)]
    fields += [[f"{name}={value}" for value in columns.values_of(chosen, name)] for name in columns.values]
    hashed = np.asarray([[zlib.crc32(one.encode()) for one in field] for field in fields], np.uint64).reshape(
        len(fields), len(chosen)
    )
    pairs = [hashed[one] * np.uint64(0x9E3779B1) + hashed[other] for one, other in combinations(range(len(fields)), 2)]
    places = np.stack([*hashed, *pairs], axis=1) % np.uint64(buckets) if fields else np.empty((len(chosen), 0), np.uint64)
    ends = np.arange(len(chosen) + 1) * places.shape[1]
    matrix = sp.csr_matrix((np.ones(places.size), places.ravel().astype(np.int64), ends), shape=(len(chosen), buckets))
    matrix.sum_duplicates()
    return matrix


def load(folder: Path) -> Crosses:
    said = json.loads((folder / COLUMNS_FILE).read_text(encoding="utf-8"))
    own = said["columns"]
    columns = ClickColumns(numbers=tuple(own["numbers"]), values=tuple(own["values"]), page=own["page"], time=own["time"])
    with np.load(folder / WEIGHTS_FILE) as kept:
        return Crosses(columns=columns, edges=said["edges"], weights=kept["weights"], bias=float(said["bias"]))
