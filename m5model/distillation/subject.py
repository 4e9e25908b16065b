"""The student under examination and its teachers: one place that gives vectors of any texts from both sides.

Tensor suffixes: N texts, D dimensions of the student, E of all teachers together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset
from tokenizers import Tokenizer

from m5model.data.token_rows import TokenRows, tokenize_rows
from m5model.distillation.student_graph import graph_vectors
from m5model.distillation.teachers import Teachers, join_teachers
from m5model.distillation.vectors import encode_all
from m5model.encoders.encoder import TextEncoder


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A student's checkpoint folder with its graphs, its vocabulary, and the teachers that it is compared with."""

    folder: Path
    tokenizer: Tokenizer
    held_out: TokenRows  # texts that nothing was learned or calibrated from, as the student's tokens
    teachers: Teachers
    max_tokens: int

    def student_vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors (N, D) float32 of the int8 graph."""
        return graph_vectors(self.folder, token_ids(texts, self.tokenizer, self.max_tokens))

    def teacher_vectors(self, texts: Sequence[Sequence[str]]) -> np.ndarray:
        """Unit vectors (N, E) float32 of all teachers side by side. ``texts`` holds a list for each, in its own rendering."""
        return join_teachers(
            [
                encode_texts(one.encoder, one.tokenizer, one.manifest.max_tokens, read)
                for one, read in zip(self.teachers.opened, texts, strict=True)
            ]
        )


def token_ids(texts: Sequence[str], tokenizer: Tokenizer, max_tokens: int) -> list[list[int]]:
    """The token ids of the texts, special tokens included, cut to ``max_tokens``."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]


def encode_texts(encoder: TextEncoder, tokenizer: Tokenizer, max_tokens: int, texts: Sequence[str]) -> np.ndarray:
    """Unit vectors (N, D) float32 of the texts in fp32."""
    rows = Dataset.from_dict({"text": list(texts), "key": np.arange(len(texts), dtype=np.int64)})
    return encode_all(encoder, tokenize_rows(rows, tokenizer, max_tokens), np.arange(len(texts)))
