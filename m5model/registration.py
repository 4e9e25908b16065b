"""Lets plain ``transformers.AutoModel`` open M5's own encoders after ``import m5model``, at no cost where nobody asks.

An import hook waits for transformers' list of models, and only then loads ours. Standard library only.
"""

import importlib
import sys
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

WAITED_FOR = "transformers.models.auto.modeling_auto"
OURS = "m5model.encoders.cross_attention"  # registers itself when it is loaded


class _Waiter(MetaPathFinder):
    """Is asked for every module that is imported, and steps in once, for the one that is waited for."""

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != WAITED_FOR:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register_when_asked() -> None:
    """Register now where transformers has its list of models, else as soon as it has."""
    if WAITED_FOR in sys.modules:
        _register()
    elif not any(isinstance(finder, _Waiter) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Waiter())


def _register() -> None:
    with suppress(ImportError):  # transformers without torch has no models
        importlib.import_module(OURS)
