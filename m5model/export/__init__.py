"""From a checkpoint to ONNX: fp32, int8, and the gate that both must pass."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m5model.toolkit import MadeBundle


class _Callable(ModuleType):
    """The folder's name is also that of a function of the toolkit: ``m5model.export(BUNDLE)`` calls it."""

    def __call__(self, *arguments: Any, **named: Any) -> "MadeBundle":
        """See m5model.toolkit.export."""
        from m5model.toolkit import export

        return export(*arguments, **named)


sys.modules[__name__].__class__ = _Callable
