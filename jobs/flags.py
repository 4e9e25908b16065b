"""The parser of jobs: argparse, but it names all broken numbers, and flags that do not fit each other, at once."""

import argparse
from collections.abc import Callable, Mapping

from schemas.checks import require
from schemas.flags import number, number_rules, whole_number, whole_numbers

__all__ = ["JobParser", "number", "whole_number", "whole_numbers"]


class JobParser(argparse.ArgumentParser):
    """Names all flags whose number is broken, where argparse names the first one."""

    def __init__(self, description: str) -> None:
        self._rules: list[Callable[[argparse.Namespace], Mapping[str, bool]]] = []
        super().__init__(
            description=description.strip(), formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
        )

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def, override]  # as argparse has it
        """Raises ConfigurationError for broken numbers."""
        arguments = super().parse_args(args, namespace)
        rules = number_rules(arguments)
        for rule in self._rules:
            rules |= rule(arguments)
        require("arguments", rules)
        return arguments

    def require_with(self, owner: str, *flags: str) -> None:
        """``flags`` mean something only beside ``owner``."""
        self._rules.append(
            lambda given: {f"{flag} needs {owner}": not _is_given(given, flag) or _is_given(given, owner) for flag in flags}
        )

    def refuse_with(self, owner: str, *flags: str) -> None:
        """``flags`` mean nothing beside ``owner``."""
        self._rules.append(
            lambda given: {
                f"{flag} means nothing beside {owner}": not (_is_given(given, flag) and _is_given(given, owner))
                for flag in flags
            }
        )


def _is_given(arguments: argparse.Namespace, flag: str) -> bool:
    """Flags that are asked about have no default that says something."""
    return getattr(arguments, flag.removeprefix("--").replace("-", "_")) not in (None, ())
