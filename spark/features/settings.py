"""Says which views are published, and how."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from schemas.canonical import identify
from schemas.checks import is_whole, require
from schemas.workspace import Workspace
from spark.features.registry import load_recipes
from spark.neighbours import NeighbourSettings
from spark.neighbours.kept import delete_cells, read_generation

# Neighbours that are kept beyond those that views see: of 1% of listings that change, seven of sixteen are hardly ever one's.
SPARE = 6
# On two cores following 1% of 10,000 listings took a quarter of building all views whole; of fewer, either takes seconds, of
# which the beginning of Spark's jobs is the most.
FOLLOW_FROM = 10_000


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """Raises ``ConfigurationError`` naming all that is wrong."""

    views: tuple[str, ...] = field(default_factory=lambda: tuple(load_recipes()))
    recipes: Mapping[str, Any] = field(default_factory=dict)  # settings by view, where they are not the recipe's own
    neighbours: NeighbourSettings = field(default_factory=NeighbourSettings)  # k and min_cosine follow from the views
    follow_from: int = FOLLOW_FROM  # listings; views of fewer are built whole, because that takes no longer
    cells: str = ""  # the kept cells that neighbours are searched in, see spark.neighbours.kept; "" before there are any

    def __post_init__(self) -> None:
        known = load_recipes()
        unknown = sorted({*self.views, *self.recipes} - set(known))
        wrong = [name for name in self.recipes if name in known and type(self.recipes[name]) is not type(known[name].settings)]
        rules = {
            f"no view {', '.join(unknown)}; there are {', '.join(known)}": not unknown,
            f"the settings of {', '.join(wrong)} are of another view": not wrong,
            f"follow_from is {self.follow_from!r}, expected 0 or more": is_whole(self.follow_from),
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

    @property
    def search(self) -> NeighbourSettings:
        """The search whose neighbours are kept: enough for every view that there is, and some to spare."""
        needing = tuple(name for name, recipe in load_recipes().items() if recipe.needs_neighbours)
        seen = self.search_for(needing)
        return replace(seen, k=seen.k + SPARE)

    @property
    def seen(self) -> int:
        """Neighbours of a listing that views may ask for."""
        return self.search.k - SPARE

    def state_folder(self, workspace: Workspace, space_id: str) -> str:
        """Where the cells and neighbours of such a search lie."""
        return workspace.view_state(f"neighbours-{identify({'space': space_id, 'search': asdict(self.search)})}")

    def with_cells(self, workspace: Workspace, space_id: str) -> "FeatureSettings":
        """The same, in the cells that are kept by now."""
        return replace(self, cells=read_generation(self.state_folder(workspace, space_id)))

    def forget_cells(self, workspace: Workspace, space_id: str) -> None:
        """Let the next search train cells anew."""
        delete_cells(self.state_folder(workspace, space_id))
