"""Clusters are connected components that do not run away; candidates are exact nearest neighbours."""

import numpy as np
import pytest

from m5model.partners.blocking import find_candidates, ranks_of_matches
from m5model.partners.clusters import ClusterSettings, build_clusters
from m5model.partners.findings.pairs import _largest_first
from schemas.errors import ConfigurationError


def clusters_of(edges: list[tuple[int, int, float]], nodes: int, **settings: float) -> list[int]:
    left, right, strength = (np.asarray(column) for column in zip(*edges, strict=True))
    return build_clusters(nodes, left, right, strength, ClusterSettings(**settings)).cluster.tolist()  # type: ignore[arg-type]


def test_small_components_are_clusters_named_by_their_smallest_node() -> None:
    assert clusters_of([(3, 1, 0.9), (1, 4, 0.8), (2, 5, 0.7)], nodes=7) == [0, 1, 2, 1, 1, 2, 6]


def test_two_groups_that_one_weak_pair_joins_stay_apart() -> None:
    groups = [(one, other, 0.9) for base in (0, 6) for one in range(base, base + 6) for other in range(one + 1, base + 6)]
    assert clusters_of([*groups, (5, 6, 0.55)], nodes=12, min_density=0.5) == [0] * 6 + [6] * 6
    assert clusters_of([*groups, (5, 6, 0.55)], nodes=12, min_density=0.4) == [0] * 12


def test_a_chain_is_cut_at_its_weakest_pairs() -> None:
    chain = [(node, node + 1, 0.9 if node != 4 else 0.6) for node in range(9)]
    assert clusters_of(chain, nodes=10, min_density=0.35) == [0] * 5 + [5] * 5


def test_no_cluster_grows_above_the_largest_size_and_cut_edges_are_counted() -> None:
    nodes = 12
    edges = [(one, other) for one in range(nodes) for other in range(one + 1, nodes)]
    left, right = (np.asarray(side) for side in zip(*edges, strict=True))
    found = build_clusters(nodes, left, right, np.linspace(1, 0.5, len(edges)), ClusterSettings(max_size=4, min_density=0))
    assert found.sizes.max() <= 4
    assert found.cut == sum(found.cluster[one] != found.cluster[other] for one, other in edges) > 0


def test_the_order_of_pairs_does_not_matter() -> None:
    draw = np.random.default_rng(0)
    left, right, strength = draw.integers(0, 60, 150), draw.integers(0, 60, 150), draw.random(150)
    settings = ClusterSettings(max_size=8)
    first = build_clusters(60, left, right, strength, settings).cluster
    for _ in range(3):
        mixed = draw.permutation(150)
        assert (build_clusters(60, right[mixed], left[mixed], strength[mixed], settings).cluster == first).all()


def test_impossible_settings_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="max_size is 1.*min_density is 2"):
        ClusterSettings(max_size=1, min_density=2)


def test_candidates_are_every_texts_nearest_others_and_ranks_say_how_deep_a_match_lies() -> None:
    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    found = find_candidates(vectors, 3)
    expected = {tuple(sorted((row, int(near)))) for row in range(40) for near in np.argsort(-cosines[row])[:3]}
    assert set(zip(found.left.tolist(), found.right.tolist(), strict=True)) == expected
    np.testing.assert_allclose(found.cosine, cosines[found.left, found.right], rtol=1e-6)
    ranks = ranks_of_matches(vectors, np.arange(20), np.arange(20, 40))
    one_way = [(cosines[row] >= cosines[row, row + 20]).sum() for row in range(20)]
    other_way = [(cosines[row + 20] >= cosines[row + 20, row]).sum() for row in range(20)]
    assert ranks.tolist() == np.minimum(one_way, other_way).tolist()


def test_the_table_of_clusters_begins_with_the_largest() -> None:
    table = _largest_first(["a", "b", "c", "d", "e"], np.asarray([0, 1, 2, 1, 3]))
    assert table["text"].to_pylist() == ["b", "d", "a", "c", "e"]
    assert table["texts"].to_pylist() == [2, 2, 1, 1, 1]
