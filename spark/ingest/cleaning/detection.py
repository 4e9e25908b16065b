"""Languages of many texts at once: py3langid's model, evaluated for a batch as arrays.

The model is naive Bayes over byte sequences that an automaton finds (Lui and Baldwin 2012, "langid.py: An Off-the-shelf
Language Identification Tool"). The library walks the automaton byte by byte in Python; here one step advances all texts of a
batch. Scores are the library's, up to the rounding of their sums, and do not depend on what else is in the batch.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from schemas.locales import LANGUAGES

# More texts at once leave the processor's cache, and are slower.
TEXTS_AT_ONCE = 1_000
# Counted pairs of text and feature are sorted as one number; the model has about 100,000 features.
FEATURE_BITS = 20


@dataclass(frozen=True)
class Model:
    """The automaton over bytes, and what its features say for each language."""

    next_state: NDArray[np.uint32]  # [rows × 256]
    row_start: NDArray[np.int64]  # [states], where in next_state a state's row begins
    feature: NDArray[np.int64]  # [states], what is found on reaching the state; -1 for nothing
    weights: NDArray[np.float32]  # [features, languages]
    prior: NDArray[np.float32]  # [languages]
    languages: list[str]


def detect_languages(texts: Sequence[str]) -> list[tuple[str, float]]:
    """Language and probability of each text, out of schemas.locales.LANGUAGES. A text that says nothing is 0.1 of the first."""
    return choose_languages(score_texts(texts))


def choose_languages(scores: NDArray[np.float32]) -> list[tuple[str, float]]:
    """The likeliest language of each row, and its probability."""
    likelihood = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    best = likelihood.argmax(axis=1) if len(scores) else []
    probability = likelihood.max(axis=1, initial=0) / likelihood.sum(axis=1)
    return [(load_model().languages[i], float(p)) for i, p in zip(best, probability, strict=True)]


def score_texts(texts: Sequence[str]) -> NDArray[np.float32]:
    """Log-likelihoods [texts, languages] at the library's temperature, which keeps long and short texts comparable."""
    batches = (texts[start : start + TEXTS_AT_ONCE] for start in range(0, len(texts), TEXTS_AT_ONCE))
    scores = [_score_batch(batch) for batch in batches]
    return np.concatenate(scores) if scores else np.zeros((0, len(load_model().languages)), dtype=np.float32)


def _score_batch(texts: Sequence[str]) -> NDArray[np.float32]:
    model = load_model()
    encoded = [_encode(text) for text in texts]
    lengths = np.array([len(text) for text in encoded])
    scores = _score(model, *_count_features(model, encoded, lengths), len(encoded))
    scores /= np.sqrt(np.maximum(lengths, 1))[:, None].astype(np.float32)
    return scores


def _encode(text: str) -> bytes:
    """As the model's training texts were: capitals say little of a language."""
    text = text.lower() if text.isupper() else text
    return unicodedata.normalize("NFC", text).encode("utf-8", errors="surrogatepass")


def _count_features(
    model: Model, encoded: list[bytes], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Text, feature and count [pairs], in the order of texts, then features."""
    order = np.argsort(-lengths, kind="stable")  # longest first, so that the texts not ended yet stand together
    columns = np.zeros((int(lengths.max(initial=0)), len(encoded)), dtype=np.uint8)
    for place, text in enumerate(order):
        columns[: lengths[text], place] = np.frombuffer(encoded[text], dtype=np.uint8)
    going_on = np.searchsorted(-lengths[order], -np.arange(1, len(columns) + 1), side="right")
    state = np.zeros(len(encoded), dtype=np.int64)
    keys = [np.zeros(0, dtype=np.int64)]
    for step, alive in zip(columns, going_on, strict=True):
        state = model.next_state[model.row_start[state[:alive]] + step[:alive]]
        feature = model.feature[state]
        found = feature >= 0
        keys.append((order[:alive][found] << FEATURE_BITS) + feature[found])
    pairs, counts = np.unique(np.concatenate(keys), return_counts=True)
    return pairs >> FEATURE_BITS, pairs & ((1 << FEATURE_BITS) - 1), counts


def _score(
    model: Model, text: NDArray[np.int64], feature: NDArray[np.int64], count: NDArray[np.int64], texts: int
) -> NDArray[np.float32]:
    """Log-likelihoods [texts, languages], zero where a text has no feature."""
    scores = np.zeros((texts, len(model.languages)), dtype=np.float32)
    if len(text):
        parts = np.log1p(count.astype(np.float32))[:, None] * model.weights[feature]
        starts = np.flatnonzero(np.diff(text, prepend=-1))
        scores[text[starts]] = np.add.reduceat(parts, starts, axis=0) + model.prior
    return scores


@lru_cache(maxsize=1)
def load_model() -> Model:
    """The library's model for M5's languages, about 45 MB; once in a process."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return Model(
        next_state=np.asarray(identifier.tk_nextmove, dtype=np.uint32),
        row_start=np.asarray(identifier.tk_row, dtype=np.int64) << 8,
        feature=np.asarray(identifier.tk_output, dtype=np.int64),
        weights=np.asarray(identifier.nb_ptc, dtype=np.float32),
        prior=np.asarray(identifier.nb_pc, dtype=np.float32),
        languages=list(identifier.nb_classes),
    )
