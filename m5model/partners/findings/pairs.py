"""Of pairs: does the neighbour search find the matches (the blocker's recall), and do clusters of the pairs hold together?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from m5model.gates.evidence import state
from m5model.partners.blocking import find_candidates, ranks_of_matches
from m5model.partners.clusters import Clusters, build_clusters
from m5model.partners.data import PartnerData
from m5model.partners.finding import Findings
from m5model.partners.pairing import pair_texts
from m5model.partners.vectors import Vectors
from schemas.figure import Figure

if TYPE_CHECKING:
    from m5model.partners.experiment import Judged

DEPTHS = (1, 5, 10, 50)  # neighbours
CANDIDATES = 5  # of a text, that clusters are made of
SURE = 0.5  # probability from which on a pair is an edge


def find(data: PartnerData, vectors: Vectors | None, judged: Judged) -> Findings:
    """The blocker looks through every text of the data, clusters are made of those of the split test.

    Vectors are those that the model was given, else those that it has learned itself; without either there is nothing to find.
    """
    own = getattr(judged.fitted, "own_vectors", None)
    space = own() if own is not None and own() is not None else vectors
    if space is None:
        return Findings()
    blocked = _blocker_figures(data, space)
    if judged.calibration is None:
        return Findings(figures=blocked)
    figures, table = _cluster_findings(data, vectors, space, judged)
    return Findings(figures=(*blocked, *figures), tables={"clusters": table})


def _blocker_figures(data: PartnerData, space: Vectors) -> tuple[Figure, ...]:
    """The share of the test's matches that are among each other's nearest neighbours."""
    texts = data.all_texts
    place = {text: number for number, text in enumerate(texts)}
    tested = data.select(data.rows_of("test"))
    matches = tested.select(np.flatnonzero(tested.column("is_match").astype(bool)))
    left, right = (np.asarray([place[text] for text in matches.texts(side)], np.int64) for side in ("left_", "right_"))
    ranks = ranks_of_matches(space.of(texts), left, right)
    measured_on = f"{len(ranks):,} matches of the split test among {len(texts):,} texts, exact"
    return tuple(state(f"blocker_recall_at_{depth}", float((ranks <= depth).mean()), measured_on) for depth in DEPTHS)


def _cluster_findings(
    data: PartnerData, vectors: Vectors | None, space: Vectors, judged: Judged
) -> tuple[tuple[Figure, ...], pa.Table]:
    tested = data.select(data.rows_of("test"))
    texts = tested.all_texts
    clusters, edges = _cluster(data, texts, vectors, space, judged)
    figures = _cluster_figures(tested, texts, clusters, edges)
    return figures, _largest_first(texts, clusters.cluster)


def _largest_first(texts: list[str], cluster: np.ndarray) -> pa.Table:
    """A row a text: the texts of a cluster one after the other, the largest cluster first."""
    _, place, counts = np.unique(cluster, return_inverse=True, return_counts=True)
    order = np.lexsort((cluster, -counts[place]))
    table = pa.table({"cluster": cluster, "texts": counts[place], "text": texts})
    return table.take(order)


def _cluster(
    data: PartnerData, texts: list[str], vectors: Vectors | None, space: Vectors, judged: Judged
) -> tuple[Clusters, int]:
    """Clusters of the texts, and how many sure pairs they are made of."""
    found = find_candidates(space.of(texts), CANDIDATES)
    pairs = pair_texts(data, [texts[one] for one in found.left], [texts[one] for one in found.right])
    scores = judged.fitted.scores(pairs, vectors, np.arange(len(pairs))).values
    probability = scores if judged.calibration is None else judged.calibration.apply(scores)
    sure = probability >= SURE
    return build_clusters(len(texts), found.left[sure], found.right[sure], probability[sure]), int(sure.sum())


def _cluster_figures(tested: PartnerData, texts: list[str], clusters: Clusters, edges: int) -> tuple[Figure, ...]:
    """Judged on the labelled pairs: a pair is called a match where both are in one cluster."""
    place = {text: number for number, text in enumerate(texts)}
    sides = [clusters.cluster[[place[text] for text in tested.texts(side)]] for side in ("left_", "right_")]
    together, matches = sides[0] == sides[1], tested.column("is_match").astype(bool)
    f1 = 2 * float((together & matches).sum()) / max(1, int(together.sum() + matches.sum()))
    measured_on = f"{len(texts):,} texts of the split test, {edges:,} pairs with a probability of {SURE} or more"
    return (
        state("cluster_f1", f1, measured_on),
        state("clusters", len(clusters.sizes), measured_on),
        state("largest_cluster", int(clusters.sizes[0]) if len(clusters.sizes) else 1, measured_on),
        state("edges_cut", clusters.cut, measured_on),
    )
