"""Keys of rows as numbers: the order of examples, held-out splits and the consumed hash run over them."""

import hashlib


def key_hash(*parts: str) -> int:
    """63 bits of the SHA-256 of a key (of a listing: locale and item id): a non-negative int64."""
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:8], "big") >> 1
