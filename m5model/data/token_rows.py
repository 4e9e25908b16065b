"""Rows of a training set as token ids, and batches of them as padded arrays.

Tensor suffixes: B rows, L tokens.
"""

from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from tokenizers import Tokenizer

from m5model.data.vocabulary import PAD_ID
from schemas.canonical import identify


@dataclass(frozen=True)
class TokenRows:
    """Tokenised texts: a dataset with ``ids`` (lists of int32), and per row its length and its key."""

    dataset: Dataset
    lengths: np.ndarray  # (n,) int64 tokens
    keys: np.ndarray  # (n,) int64, see keys.key_hash
    columns: Dataset | None = None  # the same rows with all columns of the training set, for tasks that learn from them

    def padded(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ids_BL int64 padded with 0 and mask_BL int64 of the rows (B,)."""
        return pad_ids(self.dataset[[int(row) for row in rows]]["ids"])


def tokenize_rows(rows: Dataset, tokenizer: Tokenizer, max_tokens: int) -> TokenRows:
    """Tokenise the ``text`` of every row, special tokens included, cut to ``max_tokens``."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {"ids": [encoding.ids for encoding in tokenizer.encode_batch_fast(batch["text"])]}

    # The name of the cached result; datasets has no public name for that of its input.
    fingerprint = identify([rows._fingerprint, tokenizer.to_str(), max_tokens], 32)
    texts = rows.select_columns(["text", "key"])
    dataset = texts.map(tokenize, batched=True, remove_columns=["text"], new_fingerprint=fingerprint)
    lengths = [len(ids) for batch in dataset.select_columns("ids").iter(1_000) for ids in batch["ids"]]
    return TokenRows(dataset, np.asarray(lengths, np.int64), np.asarray(dataset["key"], np.int64), rows)


def pad_ids(token_ids: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Lists of token ids → ids_BL int64 padded with 0, mask_BL int64."""
    lengths = np.asarray([len(ids) for ids in token_ids])
    ids_BL = np.full((len(token_ids), int(lengths.max())), PAD_ID, np.int64)
    for i, ids in enumerate(token_ids):
        ids_BL[i, : len(ids)] = ids
    return ids_BL, (np.arange(ids_BL.shape[1]) < lengths[:, None]).astype(np.int64)
