"""Finds the view recipes: every module in spark/features/recipes holds one, as RECIPE, and is named like its view."""

from pathlib import Path
from types import ModuleType
from typing import Any

from pyspark import cloudpickle

from schemas.errors import ConfigurationError
from schemas.registry import load_members
from spark.features import recipes
from spark.features.recipe import ViewRecipe


def load_recipes() -> dict[str, ViewRecipe[Any]]:
    """All recipes by the name of their view, sorted. Raises ConfigurationError where a module holds none."""
    return {name: _recipe_of(name, module) for name, module in load_members(recipes).items()}


def _recipe_of(name: str, module: ModuleType) -> ViewRecipe[Any]:
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, ViewRecipe) or recipe.view.name != name:
        raise ConfigurationError(
            f"{module.__file__} holds no recipe of a view {name!r}",
            next_step="let it define RECIPE = ViewRecipe(...), the view named like the file",
        )
    if not _is_installed(module):
        cloudpickle.register_pickle_by_value(module)  # executors cannot import it: its functions travel whole
    return recipe


def _is_installed(module: ModuleType) -> bool:
    """Whether the module lies in the package's own folder, which executors have, too."""
    return Path(str(module.__file__)).parent == Path(str(recipes.__file__)).parent
