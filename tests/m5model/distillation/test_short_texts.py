"""Texts of a step are cut into pieces as short as queries; what stands around every text stands around every piece."""

import numpy as np
import pytest

from m5model.data.token_rows import pad_ids
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation.short_texts import MOST, Frame, cut_texts

BEGIN, PREFIX, END = 2, 9, 3


def _cut(rows: list[list[int]], seed: int = 0) -> list[list[int]]:
    ids_BL, mask_BL = cut_texts(*pad_ids(rows), Frame(before=2, after=1), np.random.default_rng(seed))
    return [ids_L[:length].tolist() for ids_L, length in zip(ids_BL, mask_BL.sum(axis=1), strict=True)]


def _framed(*words: int) -> list[int]:
    return [BEGIN, PREFIX, *words, END]


def test_the_pieces_are_the_words_of_the_texts_in_their_order() -> None:
    rows = [_framed(*range(20, 60)), _framed(*range(70, 75))]
    pieces = _cut(rows)
    assert all(piece == _framed(*piece[2:-1]) for piece in pieces)
    assert [word for piece in pieces for word in piece[2:-1]] == [*range(20, 60), *range(70, 75)]
    assert {1 <= len(piece) - 3 <= MOST for piece in pieces} == {True}
    assert len({len(piece) for piece in pieces}) > 2


def test_another_draw_cuts_elsewhere_and_the_same_draw_does_not() -> None:
    rows = [_framed(*range(20, 60))]
    assert _cut(rows) == _cut(rows) != _cut(rows, seed=1)


def test_a_text_without_words_stays() -> None:
    assert _cut([_framed()]) == [_framed()]


@pytest.mark.parametrize("prefix", ["", "query: ", "title: red "])
def test_the_frame_is_what_every_text_with_the_prefix_begins_and_ends_with(trained, prefix: str) -> None:
    tokenizer = load_vocabulary(trained.student_folder)
    frame = Frame.of(tokenizer, prefix)
    texts = [tokenizer.encode(f"{prefix}{words}").ids for words in ("blue cotton shirt", "schuhe", "靴")]
    assert len({tuple(ids[: frame.before]) for ids in texts}) == 1
    assert len({tuple(ids[len(ids) - frame.after :]) for ids in texts}) == 1
    assert frame.after == 1
    assert len({ids[frame.before] for ids in texts}) > 1, "a word is not part of the frame"
