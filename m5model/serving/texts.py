"""Turns what a request holds, texts or token ids, into rows of token ids, with errors that name the row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from m5model.runtime.encoder import Encoder
from m5model.runtime.rendering import render
from m5model.serving.refusals import bad_request, too_large
from m5model.serving.vector_cache import Key
from schemas.errors import ModelInputError

Item = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the model's input."""

    ids_L: np.ndarray  # int64, as the model reads them
    is_truncated: bool  # had more tokens than the model reads


def as_keys(items: Sequence[Item], encoder: Encoder, characters: int, field: str) -> Iterator[Key]:
    """Each item's key, which decides its vector: its rendered text, or its token ids.

    Raises Refusal naming the row of a text that is empty (400) or longer than ``characters`` (413), and of ids that the
    vocabulary lacks (400).
    """
    for row, item in enumerate(items):
        where = f"{field}[{row}]"
        if not isinstance(item, str):
            yield _as_ids(item, encoder.vocabulary_size, where)
        elif len(item) > characters:
            raise too_large(
                "text_too_long",
                f"{where} has {len(item):,} characters, at most {characters:,} are taken",
                next_step="cut the text: a model reads far less of it",
                param=where,
            )
        else:
            yield _as_text(item, encoder, where)


def loses_characters(item: Item, encoder: Encoder) -> bool:
    """Is the end of this text cut before it is tokenised? Its key does not tell: it is that of the text without its end."""
    return isinstance(item, str) and len(item) > encoder.rendering.max_characters


def as_rows(keys: Sequence[Key], encoder: Encoder) -> list[Row]:
    """The rows of the model's input."""
    of_texts = iter(encoder.token_ids([key for key in keys if isinstance(key, str)]))
    return [_cut(next(of_texts) if isinstance(key, str) else key, encoder.max_tokens) for key in keys]


def _as_text(text: str, encoder: Encoder, where: str) -> str:
    try:
        return render(text, encoder.rendering)
    except ModelInputError as error:
        raise bad_request("invalid_text", f"{where}: {error.message}", next_step=error.next_step, param=where) from error


def _as_ids(ids: Sequence[int], vocabulary_size: int, where: str) -> tuple[int, ...]:
    if not ids:
        raise bad_request("invalid_tokens", f"{where} has no token ids", next_step="give at least one", param=where)
    wrong = next((token for token in ids if not 0 <= token < vocabulary_size), None)
    if wrong is not None:
        raise bad_request(
            "invalid_tokens",
            f"{where} holds the token id {wrong}, the vocabulary has 0 to {vocabulary_size - 1}",
            next_step="give ids of the bundle's tokenizer.json, special tokens and the bundle's prefix included, or send text",
            param=where,
        )
    return tuple(ids)


def _cut(ids: Sequence[int], max_tokens: int) -> Row:
    """Of ids that are too many the first ones stay, and the closing token, as m5model.runtime.tokens cuts those of listings."""
    if len(ids) <= max_tokens:
        return Row(np.array(ids, np.int64), False)
    return Row(np.array([*ids[: max_tokens - 1], ids[-1]], np.int64), True)
