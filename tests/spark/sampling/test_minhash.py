"""Signatures are the same bytes for ever: training sets are named by what they decide."""

import hashlib

from spark.sampling.minhash import band_hashes, signatures


def test_signatures_are_the_bytes_that_training_sets_were_drawn_with() -> None:
    signed = signatures(["a cotton shirt, red", "綿のシャツ", "x"])
    assert hashlib.sha256(signed.tobytes()).hexdigest().startswith("1747f9ba88806c46")
    assert hashlib.sha256(band_hashes(signed).tobytes()).hexdigest().startswith("9218fecf735fa216")
