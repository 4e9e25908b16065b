"""API keys: who may ask. Keys are kept and compared as hashes, all of them every time, so that time tells nothing."""

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from schemas.errors import ConfigurationError, explain_os_error

MIN_CHARACTERS = 16


class ApiKeys:
    """The keys that are accepted; none: everybody may ask."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    @classmethod
    def read(cls, file: str | None) -> "ApiKeys":
        """Keys from a file, one a line; empty lines and those that begin with # are left out.

        Raises ConfigurationError where it cannot be read, has no key, or a key of fewer than 16 characters.
        """
        if file is None:
            return cls()
        try:
            lines = [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines()]
        except OSError as error:
            raise explain_os_error(error) from error
        keys = [line for line in lines if line and not line.startswith("#")]
        short = [number for number, line in enumerate(lines, 1) if line in keys and len(line) < MIN_CHARACTERS]
        if not keys or short:
            problem = f"the key in line {short[0]} has fewer than {MIN_CHARACTERS} characters" if short else "there is no key"
            raise ConfigurationError(
                f"{file}: {problem}",
                next_step="write one key a line, e.g. from: python -c 'import secrets; print(secrets.token_urlsafe())'",
            )
        return cls(keys)

    @property
    def are_asked_for(self) -> bool:
        return bool(self._digests)

    def accept(self, authorization: bytes | None) -> bool:
        """``authorization`` is the header's value, as ``Bearer KEY``."""
        if not self._digests:
            return True
        scheme, _, key = (authorization or b"").partition(b" ")
        given = _digest(key.strip())
        found = [hmac.compare_digest(digest, given) for digest in self._digests]
        return any(found) and scheme.lower() == b"bearer"


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
