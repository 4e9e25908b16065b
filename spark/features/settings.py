"""Says which views are published, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.checks import require
from schemas.workspace import Workspace
from spark.features.registry import load_recipes
from spark.neighbours import NeighbourSettings


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """Raises ``ConfigurationError`` naming all that is wrong."""

    views: tuple[str, ...] = field(default_factory=lambda: tuple(load_recipes()))
    recipes: Mapping[str, Any] = field(default_factory=dict)  # settings by view, where they are not the recipe's own
    neighbours: NeighbourSettings = field(default_factory=NeighbourSettings)  # k and min_cosine follow from the views

    def __post_init__(self) -> None:
        known = load_recipes()
        unknown = sorted({*self.views, *self.recipes} - set(known))
        wrong = [name for name in self.recipes if name in known and type(self.recipes[name]) is not type(known[name].settings)]
        rules = {
            f"no view {', '.join(unknown)}; there are {', '.join(known)}": not unknown,
            f"the settings of {', '.join(wrong)} are of another view": not wrong,
        }
        require("FeatureSettings", rules)

    def of_view(self, name: str) -> Any:
        """The settings of one view."""
        return self.recipes[name] if name in self.recipes else load_recipes()[name].settings

    def pinned(self, workspace: Workspace, space_id: str) -> "FeatureSettings":
        """The same, with the settings of recipes that name "the newest" pinned to what that is now, for vectors of a space."""
        recipes = load_recipes()
        pinned = {
            name: pin(self.of_view(name), workspace, space_id) for name in self.views if (pin := recipes[name].pin) is not None
        }
        return replace(self, recipes={**self.recipes, **pinned})

    def search_for(self, views: tuple[str, ...]) -> NeighbourSettings:
        """One neighbour search that is enough for all of ``views``, each of which depends on its neighbourhood."""
        recipes = load_recipes()
        needs = [search(self.of_view(name)) for name in views if (search := recipes[name].search)]
        return replace(self.neighbours, k=max(need.k for need in needs), min_cosine=min(need.min_cosine for need in needs))
