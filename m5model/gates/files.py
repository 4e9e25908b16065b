"""Reads a gate file: thresholds as TOML."""

import tomllib
from typing import Any

from m5model.files import storage
from schemas.errors import ConfigurationError


def read_thresholds(path: str, command: str) -> dict[str, Any]:
    """The values of the file. Raises ConfigurationError that names the ``command`` whose help shows how to write one."""
    try:
        return tomllib.loads(storage.read_bytes(path).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no gate file {path}", next_step=f"write one; `{command} --help` shows how"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}", next_step=f"see `{command} --help`") from error
