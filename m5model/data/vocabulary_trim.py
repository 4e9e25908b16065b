"""Cuts a Unigram vocabulary to the pieces that a training set uses; what is cut off is spelt in smaller pieces, or in bytes.

Kept pieces keep their scores, so a text whose pieces were all kept is cut as before: its best segmentation is still there, and
no new one is better. Source of the idea: Abdaoui et al. 2020, "Load what you need".
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from m5model.data.vocabulary import BYTE_TOKENS, MINIMUM_SIZE, SPECIAL_TOKENS, UNK_ID
from m5model.data.vocabulary_layout import finish_tokenizer
from schemas.errors import ConfigurationError

BATCH_TEXTS = 1_000
# A byte token must lose against any piece that covers the text, so it scores this much below the worst of them.
BYTE_SCORE_BELOW = 10.0
ASCII = frozenset(map(chr, range(33, 127)))


@dataclass(frozen=True, kw_only=True)
class LanguageCoverage:
    """The cost of trimming for the texts of one language."""

    language: str
    texts: int
    kept_share: float  # of the uses of pieces, those whose piece was kept
    unchanged_share: float  # of texts, those that are cut as before
    tokens_before: float  # mean per text, control tokens included
    tokens_after: float
    tokens_per_word: float  # after; a word is what blanks separate
    byte_share: float  # of the tokens after, those that are bytes


@dataclass(frozen=True, kw_only=True)
class TrimmedVocabulary:
    """A smaller vocabulary, and where each of its tokens lay before."""

    tokenizer: Tokenizer
    rows: np.ndarray  # (V,) int64: the old id of each token; a byte has the row of the unknown token
    coverage: tuple[LanguageCoverage, ...]  # by language, sorted


def trim_vocabulary(tokenizer: Tokenizer, texts: Iterable[tuple[str, str]], size: int) -> TrimmedVocabulary:
    """Keep at most ``size`` tokens (control and byte tokens included) of a Unigram vocabulary in M5's layout.

    ``texts`` are (language, text). Kept are the pieces used most; a single character counts for the pieces that are cut off
    around it, too. Raises ConfigurationError for a vocabulary of another kind, and where ``size`` leaves no room for pieces.
    """
    settings = json.loads(tokenizer.to_str())
    if settings["model"]["type"] != "Unigram":
        raise ConfigurationError(
            f"only Unigram vocabularies can be trimmed, this one is {settings['model']['type']}",
            next_step="begin with a checkpoint that has a Unigram vocabulary (XLM-R, multilingual E5), or keep the whole one",
        )
    if size < MINIMUM_SIZE:
        raise ConfigurationError(f"a vocabulary of {size} tokens is too small", next_step=f"ask for {MINIMUM_SIZE} or more")
    listed = list(texts)
    if not listed:
        raise ConfigurationError("there is no text to choose pieces by", next_step="give a training set that is not empty")
    entries = settings["model"]["vocab"]
    pieces = [piece for piece, _ in entries]
    uses = _count_uses(tokenizer, [text for _, text in listed], len(pieces))
    kept = _choose_pieces(entries, uses, size - len(SPECIAL_TOKENS) - len(BYTE_TOKENS))
    # A vocabulary that falls back to bytes already has them among its pieces.
    byte_score = math.floor(min(entries[row][1] for row in kept)) - BYTE_SCORE_BELOW
    settings["model"]["vocab"] = [
        *entries[: len(SPECIAL_TOKENS)],
        *([token, byte_score] for token in BYTE_TOKENS),
        *(entries[row] for row in kept),
    ]
    settings["model"] |= {"byte_fallback": True, "unk_id": UNK_ID}
    settings["decoder"] = _with_bytes(settings["decoder"])
    trimmed = finish_tokenizer(settings)
    byte_rows = [pieces.index(token) if token in set(pieces) else UNK_ID for token in BYTE_TOKENS]
    rows = np.asarray([*range(len(SPECIAL_TOKENS)), *byte_rows, *kept], np.int64)
    return TrimmedVocabulary(tokenizer=trimmed, rows=rows, coverage=tuple(_measure(tokenizer, trimmed, rows, listed)))


def _with_bytes(decoder: Mapping[str, Any] | None) -> dict[str, Any]:
    """The decoder, after bytes were put together to characters."""
    if "ByteFallback" in json.dumps(decoder):
        return dict(decoder or {})
    return {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, *([decoder] if decoder else [])]}


def _count_uses(tokenizer: Tokenizer, texts: list[str], size: int) -> np.ndarray:
    """Uses of each token (V,) int64."""
    uses = np.zeros(size, np.int64)
    for ids in _encode(tokenizer, texts):
        uses += np.bincount(np.concatenate(ids), minlength=size)
    return uses


def _choose_pieces(entries: list[tuple[str, float]], uses: np.ndarray, room: int) -> list[int]:
    """Ids of the pieces to keep, in their old order.

    Printable ASCII always stays. Then come the pieces used most; and where room is left, those that have the best scores, which
    are the commonest in what the vocabulary was learned from.
    """
    pieces = [piece for piece, _ in entries]
    not_pieces = {*SPECIAL_TOKENS, *BYTE_TOKENS}
    candidates = np.asarray([row for row, piece in enumerate(pieces) if piece not in not_pieces], np.int64)
    worth = uses + _uses_in_lost_pieces(pieces, uses, candidates, room)
    worth[[row for row in candidates if pieces[row] in ASCII]] = np.iinfo(np.int64).max
    scores = np.asarray([score for _, score in entries])
    order = np.lexsort((candidates, -scores[candidates], -worth[candidates]))
    return sorted(int(row) for row in candidates[order][:room])


def _uses_in_lost_pieces(pieces: list[str], uses: np.ndarray, candidates: np.ndarray, room: int) -> np.ndarray:
    """Counts single characters in pieces that will not be among the most used: they will be needed to spell these."""
    by_use = candidates[np.lexsort((candidates, -uses[candidates]))]
    within: Counter[str] = Counter()
    for row in by_use[room:]:
        for character in pieces[row] if uses[row] else "":
            within[character] += int(uses[row])
    return np.asarray([within[piece] if len(piece) == 1 else 0 for piece in pieces], np.int64)


def _measure(before: Tokenizer, after: Tokenizer, rows: np.ndarray, texts: list[tuple[str, str]]) -> Iterator[LanguageCoverage]:
    by_language: Mapping[str, list[str]] = defaultdict(list)
    for language, text in texts:
        by_language[language].append(text)
    kept = np.zeros(before.get_vocab_size(), bool)
    kept[rows] = True
    last_byte = len(SPECIAL_TOKENS) + len(BYTE_TOKENS)
    for language, listed in sorted(by_language.items()):
        old = [ids for batch in _encode(before, listed) for ids in batch]
        all_old, all_new = np.concatenate(old), np.concatenate([ids for batch in _encode(after, listed) for ids in batch])
        same = sum(kept[ids].all() for ids in old)
        words = sum(len(text.split()) for text in listed)
        yield LanguageCoverage(
            language=language,
            texts=len(listed),
            kept_share=float(kept[all_old].mean()),
            unchanged_share=float(same) / len(listed),
            tokens_before=len(all_old) / len(listed),
            tokens_after=len(all_new) / len(listed),
            tokens_per_word=len(all_new) / max(1, words),
            byte_share=float(((all_new >= len(SPECIAL_TOKENS)) & (all_new < last_byte)).mean()),
        )


def _encode(tokenizer: Tokenizer, texts: list[str]) -> Iterator[list[np.ndarray]]:
    """Token ids of every text, in batches."""
    for start in range(0, len(texts), BATCH_TEXTS):
        encodings = tokenizer.encode_batch_fast(texts[start : start + BATCH_TEXTS])
        yield [np.asarray(encoding.ids, np.int32) for encoding in encodings]
