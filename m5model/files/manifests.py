"""Manifests from JSON: frozen dataclasses whose every value has the type that its field declares."""

import json
from typing import Any, TypeVar

import msgspec

from schemas.checks import require_relative_file
from schemas.errors import DamagedFileError

Manifest = TypeVar("Manifest")


def from_json(kind: type[Manifest], text: bytes | str, where: str) -> Manifest:
    """Build ``kind`` from JSON. Unknown keys are ignored (a newer writer).

    Raises DamagedFileError for anything else than an object with all fields, each of its type, and for a name under ``files``
    that does not stay below the manifest's folder.
    """
    return convert(kind, read_object(text, where), where)


def read_object(text: bytes | str, where: str) -> dict[str, Any]:
    """The JSON object in ``text``; else DamagedFileError."""
    try:
        values = json.loads(text)
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both
        raise _damage(f"{where} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise _damage(f"{where} holds a {type(values).__name__}, expected an object")
    return values


def convert(kind: type[Manifest], values: dict[str, Any], where: str) -> Manifest:
    """Build ``kind`` from plain values; see ``from_json``."""
    try:
        manifest = msgspec.convert(values, kind, dec_hook=_keep)
    except msgspec.ValidationError as error:
        raise _damage(f"{where} is not a {kind.__name__}: {error}") from error
    for name in getattr(manifest, "files", ()):
        require_relative_file(where, name)
    return manifest


def _keep(_: type, value: Any) -> Any:
    """Fields declared as ``object`` hold any JSON."""
    return value


def _damage(message: str) -> DamagedFileError:
    return DamagedFileError(message, next_step="restore the file from a backup, or make it again with the job that wrote it")
