"""Random numbers as a function of what they are for, so that a restart draws the same ones without saved state."""

import hashlib

import numpy as np


def seed_for(*parts: str | int) -> int:
    """A 63-bit seed from a purpose, a seed and a step, e.g. ``seed_for("masking", 7, 1200)``."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(*parts: str | int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed_for(*parts)))
