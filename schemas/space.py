"""Hashes that must never be mixed up, and the identity of a vector space."""

import hashlib
import json
from dataclasses import asdict, dataclass


def sha256_hex(data: bytes) -> str:
    """SHA-256 of ``data``: 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, kw_only=True)
class VectorSpace:
    """All that decides the bytes of a vector, given a text. Two vectors compare only within one space."""

    rendering: str  # canonical JSON of the rendering, see m5model.runtime.rendering
    vocabulary_sha256: str  # of tokenizer.json
    max_tokens: int  # tokens, special ones included
    pooling: str  # "mean"
    weights_sha256: str  # of the model file that runs
    quantization: str  # "none" or e.g. "int8-static"
    runtime: str  # how texts are cut into calls and computed, see m5model.runtime.RUNTIME

    @property
    def space_id(self) -> str:
        """16 hexadecimal digits."""
        return sha256_hex(json.dumps(asdict(self), sort_keys=True).encode())[:16]
