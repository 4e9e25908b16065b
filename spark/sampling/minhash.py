"""MinHash signatures of texts, by numpy: texts that share most of their character 5-grams share most of their signature.

Sources: Broder 1997, "On the resemblance and containment of documents"; bands: Leskovec et al. 2020, "Mining of Massive
Datasets" §3.4.
Spark's own MinHashLSH wants one sparse vector per text and a hash function per row; here a batch is a few array operations.
"""

import numpy as np

SHINGLE = 5  # characters: fits languages without spaces, too
HASHES, BANDS = 64, 8  # bands of 8: two texts meet in a band with 50% at a similarity of 0.77, with 92% at 0.85
_RNG = np.random.default_rng(20_260_301)
_FACTORS = _RNG.integers(1, 1 << 63, HASHES, dtype=np.uint64) | np.uint64(1)
_OFFSETS = _RNG.integers(0, 1 << 63, HASHES, dtype=np.uint64)
_POWERS = np.asarray([pow(1_000_003, SHINGLE - 1 - i, 1 << 64) for i in range(SHINGLE)], np.uint64)
_BAND_FACTORS = _FACTORS[: HASHES // BANDS]


def signatures(texts: list[str]) -> np.ndarray:
    """Signatures of texts, uint32 (n, HASHES). The share of equal places estimates the Jaccard similarity of two texts."""
    if not texts:
        return np.empty((0, HASHES), np.uint32)
    padded = [text.ljust(SHINGLE) for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.asarray([len(text) for text in padded])
    windows = np.lib.stride_tricks.sliding_window_view(codes, SHINGLE)
    ends = np.cumsum(lengths)
    inside = np.ones(len(windows), bool)
    for back in range(1, SHINGLE):  # windows that reach into the next text
        inside[ends[:-1] - back] = False
    hashes = _mix((windows * _POWERS).sum(1, dtype=np.uint64)[inside])
    starts = np.cumsum(lengths - SHINGLE + 1) - (lengths - SHINGLE + 1)
    found = np.empty((len(texts), HASHES), np.uint32)
    for i in range(HASHES):
        found[:, i] = np.minimum.reduceat((hashes * _FACTORS[i] + _OFFSETS[i]) >> np.uint64(32), starts)
    return found


def band_hashes(signed: np.ndarray) -> np.ndarray:
    """One int64 per band, (n, BANDS): texts that share one of them are candidates."""
    bands = signed.reshape(len(signed), BANDS, HASHES // BANDS).astype(np.uint64)
    return _mix((bands * _BAND_FACTORS).sum(2, dtype=np.uint64)).view(np.int64)


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele et al. 2014): every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
