"""The map of a sample's vectors, and who is near whom.

Two maps, because none keeps everything: t-SNE (van der Maaten and Hinton 2008) keeps neighbours together, and the plane of the
two largest principal components (Pearson 1901) keeps distances. Shape suffixes: N listings, D dimensions, K neighbours.
"""

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from m5model.reports.model.facts import EmbeddingMap, Likeness, Projection, ShownListing

NEIGHBOURS = 5
MINIMUM = 3  # listings of a map, and of a language whose mean is taken out
ENOUGH_FOR_NEIGHBOURHOODS = 12  # listings
PERPLEXITY = 15.0  # neighbours that t-SNE looks at
NO_SCIKIT_LEARN = "a map of neighbourhoods (t-SNE) takes scikit-learn, which the extra m5[evaluate] brings"
AS_THEY_ARE, WITHOUT_LANGUAGE = "vectors as they are", "with the mean of each language taken out"
TOO_FEW = f"a map of neighbourhoods (t-SNE) takes {ENOUGH_FOR_NEIGHBOURHOODS} listings or more"


def explain_neighbourhoods(listings: int) -> str:
    """Say why there is no map of neighbourhoods; nothing where there is one."""
    if listings < ENOUGH_FOR_NEIGHBOURHOODS:
        return TOO_FEW
    return "" if find_spec("sklearn") else NO_SCIKIT_LEARN


def draw_map(listings: Sequence[ShownListing], vectors_ND: np.ndarray) -> EmbeddingMap:
    """Both projections, and how alike near listings are: as they are, and with the mean of each language taken out."""
    languages, groups = [listing.language for listing in listings], [listing.group for listing in listings]
    views = {AS_THEY_ARE: vectors_ND, WITHOUT_LANGUAGE: _without_means(vectors_ND, languages)}
    nearest = {name: find_neighbours(values_ND) for name, values_ND in views.items()}
    likeness = [
        Likeness(name=name, language=_same(languages, nearest_NK), group=_same(groups, nearest_NK))
        for name, nearest_NK in nearest.items()
    ]
    likeness.append(Likeness(name="two listings drawn at random", language=_chance(languages), group=_chance(groups)))
    projections = [] if explain_neighbourhoods(len(listings)) else [project_neighbourhoods(vectors_ND)]
    return EmbeddingMap(listings=listings, projections=[*projections, project_plane(vectors_ND)], likeness=likeness)


def find_neighbours(vectors_ND: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """The rows of the ``count`` largest cosines of each row (N, K) int64, the nearest first, itself left out."""
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    unit_ND = vectors_ND / np.where(lengths_N1, lengths_N1, 1)
    cosines_NN = unit_ND @ unit_ND.T
    np.fill_diagonal(cosines_NN, -np.inf)
    nearest: np.ndarray = np.argsort(-cosines_NN, axis=1, kind="stable")[:, : min(count, len(unit_ND) - 1)]
    return nearest


def project_plane(vectors_ND: np.ndarray) -> Projection:
    """The principal plane. The largest weight of each axis is positive, so that the same vectors give the same picture."""
    centred_ND = vectors_ND.astype(np.float64) - vectors_ND.mean(axis=0, dtype=np.float64)
    _, sizes, axes_KD = np.linalg.svd(centred_ND, full_matrices=False)
    axes_2D = axes_KD[:2]
    largest = np.abs(axes_2D).argmax(axis=1)
    axes_2D = axes_2D * np.where(axes_2D[np.arange(len(axes_2D)), largest] < 0, -1, 1)[:, None]
    shares = np.square(sizes[:2]) / (float(np.square(sizes).sum()) or 1.0)
    return Projection(
        name="distances: principal components",
        points=_as_points(centred_ND @ axes_2D.T),
        meaning=f"The plane holds {shares.sum():.0%} of the variance ({shares[0]:.1%} across, {shares[1]:.1%} up): what is far "
        "apart on it is far apart, what is close may be apart in other dimensions.",
    )


def project_neighbourhoods(vectors_ND: np.ndarray) -> Projection:
    """t-SNE by cosine, begun with principal components and computed exactly: the same vectors give the same picture."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(vectors_ND) - 1) / 3)
    tsne = TSNE(metric="cosine", init="pca", method="exact", perplexity=perplexity, random_state=0)
    return Projection(
        name="neighbourhoods: t-SNE",
        points=_as_points(tsne.fit_transform(vectors_ND)),
        meaning=f"Neighbours stay together (perplexity {perplexity:.0f}); the distances between groups mean nothing, nor do "
        "the sizes of the groups.",
    )


def _as_points(coordinates_N2: np.ndarray) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in coordinates_N2]


def _without_means(vectors_ND: np.ndarray, languages: Sequence[str]) -> np.ndarray:
    """Each vector minus the mean of its language; of languages with few listings, minus the mean of all."""
    centred_ND = vectors_ND - vectors_ND.mean(axis=0)
    names = np.asarray(languages)
    for language in sorted(set(languages)):
        rows = np.flatnonzero(names == language)
        if len(rows) >= MINIMUM:
            centred_ND[rows] = vectors_ND[rows] - vectors_ND[rows].mean(axis=0)
    return centred_ND


def _same(names: Sequence[str], nearest_NK: np.ndarray) -> float:
    """The share of neighbours that have the same name."""
    names_N = np.asarray(names)
    return float((names_N[nearest_NK] == names_N[:, None]).mean())


def _chance(names: Sequence[str]) -> float:
    """The probability that two different listings have the same name."""
    pairs = len(names) * (len(names) - 1)
    return sum(count * (count - 1) for count in Counter(names).values()) / pairs if pairs else 0.0
