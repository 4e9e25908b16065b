"""Connected components: what is the same as something that is the same as a third thing is the same as that."""

from typing import Any, Generic, TypeVar

Node = TypeVar("Node", int, str)


class Components(Generic[Node]):
    """Connected components, each named by its smallest member (a union-find with halved paths)."""

    def __init__(self) -> None:
        self._parents: dict[Node, Node] = {}

    def find(self, node: Node) -> Node:
        """The name of the node's component; the node itself where it was never joined."""
        parents: dict[Any, Node] = self._parents
        while (parent := parents.get(node, node)) != node:
            parents[node] = parents.get(parent, parent)
            node = parents[node]
        return node

    def join(self, one: Node, other: Node) -> None:
        """Make the components of both one."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parents[low] = low
        self._parents[high] = low
