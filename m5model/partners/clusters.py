"""Pairs become clusters: connected components that may not run away.

One wrong pair joins two products, and a chain of them joins a whole shop. So edges are taken from the strongest down, and one
that would make a component too large or too thin is left out: components are cut at their weakest edges.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from schemas.checks import at_least, from_0_to_1, require


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Raises ConfigurationError that lists every problem at once."""

    max_size: int = 50  # listings of one product in one locale
    min_density: float = 0.3  # edges that there are, of those that there could be; a chain of 6 has 0.33

    def __post_init__(self) -> None:
        require("settings of clusters", at_least(self, max_size=2) | from_0_to_1(self, "min_density"))


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Nodes (n) by cluster."""

    cluster: np.ndarray  # (n,) int64: the smallest node of its cluster
    cut: int  # edges that would have made a cluster too large or too thin

    @property
    def sizes(self) -> np.ndarray:
        """Of clusters with two nodes or more, the largest first."""
        counts = np.bincount(self.cluster)
        return np.asarray(np.sort(counts[counts > 1])[::-1])


def build_clusters(
    nodes: int, left: np.ndarray, right: np.ndarray, strength: np.ndarray, settings: ClusterSettings | None = None
) -> Clusters:
    """Clusters of the edges left (e,), right (e,) with strength (e,). Equal strengths are taken in the order of their nodes.

    Each merge moves the smaller side: e · log(n) steps.
    """
    chosen = settings or ClusterSettings()
    low, high = np.minimum(left, right), np.maximum(left, right)
    order = np.lexsort((high, low, -strength))
    edges = list(dict.fromkeys((int(low[place]), int(high[place])) for place in order if low[place] != high[place]))
    growing = _Growing(nodes, edges)
    for one, other in edges:
        growing.join(one, other, chosen)
    cluster = np.asarray([growing.name_of(node) for node in range(nodes)], np.int64)
    cut = sum(int(cluster[one] != cluster[other]) for one, other in edges)
    return Clusters(cluster=cluster, cut=cut)


class _Growing:
    """Components with their members, inner edges, and how many edges lead to each other component."""

    def __init__(self, nodes: int, edges: list[tuple[int, int]]) -> None:
        self._component = list(range(nodes))
        self._members = {node: [node] for node in range(nodes)}
        self._inner = dict.fromkeys(range(nodes), 0)
        self._across: dict[int, Counter[int]] = {node: Counter() for node in range(nodes)}
        for one, other in edges:
            self._across[one][other] += 1
            self._across[other][one] += 1

    def name_of(self, node: int) -> int:
        return min(self._members[self._component[node]])

    def join(self, one: int, other: int, settings: ClusterSettings) -> None:
        """Make both components one, unless that would be too large or too thin."""
        large, small = sorted((self._component[one], self._component[other]), key=lambda name: -len(self._members[name]))
        if large == small:
            return
        size = len(self._members[large]) + len(self._members[small])
        inner = self._inner[large] + self._inner[small] + self._across[large][small]
        if size <= settings.max_size and inner >= settings.min_density * size * (size - 1) / 2:
            self._merge(large, small, inner)

    def _merge(self, large: int, small: int, inner: int) -> None:
        for node in self._members[small]:
            self._component[node] = large
        self._members[large] += self._members.pop(small)
        self._inner[large] = inner
        for name, count in self._across.pop(small).items():
            del self._across[name][small]
            if name != large:
                self._across[large][name] += count
                self._across[name][large] += count
