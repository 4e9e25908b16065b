"""Finds the members of a kind (views, tasks, strategies, commands): each is one module in the kind's package.

To add one, put one file beside its sisters. The file's name is the member's name; a name that begins with ``_`` is no member.
A folder that is appended to the package's ``__path__`` is listed like the package's own.
"""

import importlib
import pkgutil
from types import ModuleType

from schemas.errors import ConfigurationError


def list_members(package: ModuleType) -> list[str]:
    """Names of the package's members, sorted. Imports none of them."""
    found = pkgutil.iter_modules(package.__path__)
    return sorted(module.name for module in found if not module.name.startswith("_"))


def load_member(package: ModuleType, name: str, kind: str) -> ModuleType:
    """The module of the member ``name``. Raises ConfigurationError that names the members, where there is no such one."""
    names = list_members(package)
    if name not in names:
        raise ConfigurationError(f"there is no {kind} {name!r}", next_step=f"give one of: {', '.join(names)}")
    return importlib.import_module(f"{package.__name__}.{name}")


def load_members(package: ModuleType) -> dict[str, ModuleType]:
    """All members by name, sorted."""
    return {name: importlib.import_module(f"{package.__name__}.{name}") for name in list_members(package)}
