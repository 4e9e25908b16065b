"""Reading and writing manifests: frozen dataclasses as JSON files, checked on the way in."""

import dataclasses
import json
from typing import Any, TypeVar

from schemas.errors import ConfigurationError

Manifest = TypeVar("Manifest")


def to_json(manifest: Any) -> str:
    """The manifest as indented JSON, keys in the order of its fields."""
    return json.dumps(dataclasses.asdict(manifest), ensure_ascii=False, indent=2) + "\n"


def from_json(kind: type[Manifest], text: str, where: str) -> Manifest:
    """Build ``kind`` from JSON. Unknown keys are ignored (a newer writer), missing ones raise ``ConfigurationError``."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{where} is not JSON: {error}", next_step="restore the file or make it again") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"{where} holds {type(values).__name__}, expected an object")
    names = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    try:
        return kind(**{name: values[name] for name in names if name in values})
    except TypeError as error:
        missing = [name for name in names if name not in values]
        raise ConfigurationError(
            f"{where} is not a {kind.__name__}: lacks {', '.join(missing) or error}",
            next_step="make it again with the job that wrote it",
        ) from error
