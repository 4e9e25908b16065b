"""Checks of settings objects: every broken rule at once, before any data is read."""

from collections.abc import Mapping

from schemas.errors import ConfigurationError


def require(owner: str, rules: Mapping[str, bool]) -> None:
    """Raise ``ConfigurationError`` naming every rule of ``rules`` (sentence → holds) that does not hold."""
    broken = [rule for rule, holds in rules.items() if not holds]
    if broken:
        raise ConfigurationError(f"{owner}: {'; '.join(broken)}", next_step="change these settings")
