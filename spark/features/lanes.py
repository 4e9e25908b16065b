"""Which views are made one after the other, and which side by side."""

from collections.abc import Sequence

from spark.features.registry import load_recipes


def plan_lanes(views: Sequence[str]) -> list[tuple[str, ...]]:
    """Views that are built one after the other, because they share one neighbour search; every other view by itself."""
    recipes = load_recipes()
    sharing = tuple(name for name in views if recipes[name].needs_neighbours)
    alone: list[tuple[str, ...]] = [(name,) for name in views if name not in sharing]
    return [sharing, *alone] if sharing else alone
