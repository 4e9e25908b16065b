"""Signatures for near duplicates: ours (spark/sampling/minhash.py) beside datasketch's, on the same texts, one thread, in turn.

    pip install datasketch==2.0.0        (not a dependency; see docs/decisions/2026-11-27-near-duplicates-stay-ours.md)
    python benchmarks/near_duplicates.py [--rows 2000]

The last line of stdout is one JSON object: rows a second, and of pairs whose true Jaccard similarity is at least 0.8 the share
that is found, with the pairs found that are less similar than 0.7. Without datasketch, ours alone.
"""

import argparse
import importlib.util
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xxhash

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.inputs.listings import read_texts
from spark.sampling.duplicates import SIMILARITY
from spark.sampling.minhash import BANDS, HASHES, SHINGLE, signatures

ROUNDS = 3
Sign = Callable[[list[str]], np.ndarray]  # texts → (n, HASHES)


def main() -> int:
    parser = argparse.ArgumentParser(description="Speed and recall of MinHash signatures.")
    parser.add_argument("--rows", type=int, default=2_000, help="texts, each with a changed copy (default: %(default)s)")
    arguments = parser.parse_args()
    texts, origin = read_texts(arguments.rows, seed=1)
    pairs = [(text, change_text(text, seed)) for seed, text in enumerate(texts)]
    similarities = np.asarray([jaccard(one, other) for one, other in pairs])
    ways: dict[str, Sign] = {"ours": signatures}
    if importlib.util.find_spec("datasketch"):
        ways |= {"datasketch_xxhash": sign_with_datasketch, "datasketch": sign_by_default}
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, sign in ways.items():
            started = time.perf_counter()
            sign(texts)
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    figures: dict[str, object] = {"rows": len(texts), "origin": origin, "pairs_at_least_0.8": int((similarities >= 0.8).sum())}
    for name, sign in ways.items():
        found = is_found(sign([one for one, _ in pairs]), sign([other for _, other in pairs]))
        figures[name] = {
            "rows_per_s": round(len(texts) / seconds[name]),
            "times_ours": round(seconds[name] / seconds["ours"], 1),
            "recall": round(float(found[similarities >= 0.8].mean()), 3),
            "found_below_0.7": int(found[similarities < 0.7].sum()),
        }
    print(json.dumps(figures))
    return 0


def change_text(text: str, seed: int) -> str:
    """Some words of the text replaced, each by another one: a word that all pairs share would favour some hash functions."""
    draw = random.Random(seed)
    words = text.split(" ")
    for _ in range(draw.randint(0, max(1, len(words) // 12))):
        words[draw.randrange(len(words))] = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 9)))
    return " ".join(words)


def shingles(text: str) -> set[str]:
    padded = text.ljust(SHINGLE)
    return {padded[i : i + SHINGLE] for i in range(len(padded) - SHINGLE + 1)}


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def sign_with_datasketch(texts: list[str]) -> np.ndarray:
    """With the quickest hash of bytes that we have installed."""
    from datasketch import MinHash

    return _sign(MinHash(num_perm=HASHES, scheme="affine64", hashfunc=xxhash.xxh3_64_intdigest), texts)


def sign_by_default(texts: list[str]) -> np.ndarray:
    """As datasketch comes: SHA-1."""
    from datasketch import MinHash

    return _sign(MinHash(num_perm=HASHES), texts)


def _sign(empty, texts: list[str]) -> np.ndarray:  # type: ignore[no-untyped-def]  # a MinHash
    signed = []
    for text in texts:
        own = empty.copy()
        own.update_batch([shingle.encode() for shingle in shingles(text)])
        signed.append(own.hashvalues)
    return np.asarray(signed)


def is_found(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pairs that meet in a band and are similar enough by their signatures."""
    equal = ones == others
    meets = equal.reshape(len(equal), BANDS, HASHES // BANDS).all(2).any(1)
    return meets & (equal.sum(1) >= round(SIMILARITY * HASHES))


if __name__ == "__main__":
    sys.exit(main())
