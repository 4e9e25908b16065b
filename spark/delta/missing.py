"""The one error for a table that is not there."""

from schemas.errors import ConfigurationError


def missing_table(path: str, made_by: str) -> ConfigurationError:
    """The error to raise where there is no table at ``path``; it names the command that makes one."""
    return ConfigurationError(f"there is no table {path}", next_step=f"run {made_by}, or give another --workspace")
