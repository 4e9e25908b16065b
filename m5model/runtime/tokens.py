"""Token ids of many texts as one flat array, so that batches are cut out of it by numpy and not row by row.

A text is text: where a seller writes ``[MASK]`` or ``<0x41>``, these are characters, never control tokens.
"""

import json
import re
from dataclasses import dataclass
from itertools import chain

import numpy as np
from tokenizers import Regex, Tokenizer, pre_tokenizers

# The first character of <0x00> to <0xFF>, as byte fallback names its tokens.
BYTE_TOKEN_START = "<(?=0x[0-9A-F]{2}>)"


@dataclass(frozen=True, kw_only=True)
class TokenizedTexts:
    """Tensor suffixes: N texts, B rows of a batch, L tokens."""

    ids: np.ndarray  # int64, all texts' ids behind each other, not truncated
    starts_N: np.ndarray  # int64: where a text's ids begin
    full_counts_N: np.ndarray  # int64: tokens before truncation
    max_tokens: int

    @property
    def counts_N(self) -> np.ndarray:
        """Tokens after truncation, int64."""
        return np.minimum(self.full_counts_N, self.max_tokens)

    @property
    def truncated_N(self) -> np.ndarray:
        return self.full_counts_N > self.max_tokens

    def cut_batch(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Ids of ``rows``, all of which have ``length`` tokens after truncation: int64 (B, L)."""
        ids_BL = self.ids[self.starts_N[rows][:, None] + np.arange(length)]
        cut = np.flatnonzero(self.full_counts_N[rows] > self.max_tokens)
        if len(cut):  # a truncated text keeps its closing special token, as Hugging Face tokenizers do
            ids_BL[cut, -1] = self.ids[self.starts_N[rows[cut]] + self.full_counts_N[rows[cut]] - 1]
        return ids_BL


def open_tokenizer(content: bytes | str) -> Tokenizer:
    """The tokenizer of a tokenizer.json, which reads control tokens in a text as characters. It neither pads nor truncates."""
    tokenizer = Tokenizer.from_str(content if isinstance(content, str) else content.decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return read_control_tokens_as_text(tokenizer)


def read_control_tokens_as_text(tokenizer: Tokenizer) -> Tokenizer:
    """Make ``tokenizer`` (changed in place) spell ``[MASK]`` and the like in characters where a text holds them.

    The name of a control token is cut behind its first character before pieces are matched, so that no piece covers it. Texts
    without such a name keep their ids.
    """
    tokenizer.encode_special_tokens = True  # else they are cut out of the text before anything else sees it
    settings = json.loads(tokenizer.to_str())
    names = [token["content"] for token in settings["added_tokens"] if token["special"]]
    byte_fallback = bool(settings["model"].get("byte_fallback"))
    pattern = _first_characters([name for name in names if len(name) > 1], byte_fallback)
    if pattern and json.dumps(pattern) not in json.dumps(settings["pre_tokenizer"]):
        cut = pre_tokenizers.Split(Regex(pattern), "isolated")
        before = [tokenizer.pre_tokenizer] if settings["pre_tokenizer"] else []
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, cut])
    return tokenizer


def _first_characters(names: list[str], byte_fallback: bool) -> str:
    """A pattern that matches the first character of each name, and of the tokens that byte fallback knows."""
    starts = [f"{re.escape(name[0])}(?={re.escape(name[1:])})" for name in sorted(names)]
    return "|".join([*starts, BYTE_TOKEN_START] if byte_fallback else starts)


def token_ids(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Every text's ids, special tokens included; the tokenizer must neither pad nor truncate."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


def tokenize(tokenizer: Tokenizer, texts: list[str], max_tokens: int) -> TokenizedTexts:
    """``token_ids`` as one array."""
    found = token_ids(tokenizer, texts)
    counts_N = np.fromiter(map(len, found), np.int64, len(found))
    ids = np.fromiter(chain.from_iterable(found), np.int64, int(counts_N.sum()))
    return TokenizedTexts(ids=ids, starts_N=np.cumsum(counts_N) - counts_N, full_counts_N=counts_N, max_tokens=max_tokens)
