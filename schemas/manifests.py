"""Reading and writing manifests: frozen dataclasses as JSON files, checked on the way in."""

import dataclasses
import json
from typing import Any, TypeVar

from schemas.checks import require_relative_file
from schemas.errors import DamagedFileError

Manifest = TypeVar("Manifest")


def to_json(manifest: Any) -> str:
    """The manifest as indented JSON, keys in the order of its fields."""
    return json.dumps(dataclasses.asdict(manifest), ensure_ascii=False, indent=2) + "\n"


def from_json(kind: type[Manifest], text: bytes | str, where: str) -> Manifest:
    """Build ``kind`` from JSON. Unknown keys are ignored (a newer writer).

    Raises DamagedFileError for anything else than an object with all fields, and for a name under ``files`` that does not stay
    below the manifest's folder.
    """
    values = _read_object(text, where)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    missing = [field.name for field in fields if field.name not in values and _is_required(field)]
    if missing:
        raise _damage(f"{where} is not a {kind.__name__}: it lacks {', '.join(missing)}")
    known = {field.name: values[field.name] for field in fields if field.name in values}
    if "files" in known:
        _check_files(known["files"], where)
    return kind(**known)


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _read_object(text: bytes | str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both
        raise _damage(f"{where} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise _damage(f"{where} holds a {type(values).__name__}, expected an object")
    return values


def _check_files(files: object, where: str) -> None:
    if not isinstance(files, dict):
        raise _damage(f"{where} has a {type(files).__name__} under 'files', expected an object of hashes by file name")
    for name in files:
        require_relative_file(where, name)


def _damage(message: str) -> DamagedFileError:
    return DamagedFileError(message, next_step="restore the file from a backup, or make it again with the job that wrote it")
