"""A vocabulary is cut to what a training set uses; texts whose pieces are kept are cut as before."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from m5model.data.vocabulary import BYTE_TOKENS, MINIMUM_SIZE, SPECIAL_TOKENS, UNK_ID, train_vocabulary
from m5model.data.vocabulary_layout import arrange_tokenizer
from m5model.data.vocabulary_trim import trim_vocabulary
from schemas.errors import ConfigurationError

WORDS = [
    "red",
    "cotton",
    "shirt",
    "blue",
    "leather",
    "shoes",
    "garden",
    "chair",
    "Größe",
    "Baumwolle",
    "赤い",
    "シャツ",
    "قميص",
]
MORE = ["".join(random.Random(n).choices(["ka", "lo", "mi", "tu", "ren", "so", "vi", "ba"], k=3)) for n in range(150)]
TEXTS = [" ".join(random.Random(n).choices([*WORDS, *MORE], k=6)) for n in range(600)]
WHOLE = train_vocabulary(TEXTS, 600)
FEW = [("en", text) for text in ("red cotton shirt", "blue shirt", "red shoes")] + [("de", "Größe Baumwolle")]


def test_a_text_whose_pieces_were_all_kept_keeps_them() -> None:
    trimmed = trim_vocabulary(WHOLE, FEW, 340)
    kept = set(trimmed.rows.tolist())
    compared = 0
    for text in TEXTS:
        before = WHOLE.encode(text)
        if set(before.ids) <= kept:
            after = trimmed.tokenizer.encode(text)
            assert after.tokens == before.tokens
            assert trimmed.rows[after.ids].tolist() == before.ids
            compared += 1
    assert compared


def test_what_was_cut_off_is_spelt_and_never_unknown() -> None:
    trimmed = trim_vocabulary(WHOLE, [("en", "red shirt")], MINIMUM_SIZE + 98)
    ids = trimmed.tokenizer.encode("赤い garden 𓀀 [MASK]").ids
    assert UNK_ID not in ids
    assert trimmed.tokenizer.decode(ids) == "赤い garden 𓀀 [MASK]"


def test_room_that_is_left_goes_to_the_commonest_pieces() -> None:
    small, large = (trim_vocabulary(WHOLE, FEW, size) for size in (360, 10_000))
    assert len(small.rows) == 360 < WHOLE.get_vocab_size()
    assert len(large.rows) == WHOLE.get_vocab_size()


def test_printable_ascii_always_stays_where_the_vocabulary_has_it() -> None:
    source = train_vocabulary([*TEXTS, "a#b;c{d}"], 700)
    trimmed = trim_vocabulary(source, [("en", "red")], MINIMUM_SIZE + 30)
    ascii_of = {token for token in source.get_vocab() if len(token) == 1 and "!" <= token <= "~"}
    assert len(ascii_of) > 20
    assert len(ascii_of & set(trimmed.tokenizer.get_vocab())) >= min(30, len(ascii_of))


def test_coverage_says_what_each_language_lost() -> None:
    trimmed = trim_vocabulary(WHOLE, [("en", "red shirt"), ("en", "red shirt"), ("ja", "赤い シャツ")], MINIMUM_SIZE + 4)
    english, japanese = trimmed.coverage
    assert (english.language, english.texts, japanese.texts) == ("en", 2, 1)
    assert japanese.byte_share > 0
    assert japanese.kept_share < 1
    assert japanese.tokens_after > japanese.tokens_before


def test_a_vocabulary_can_be_trimmed_twice() -> None:
    once = trim_vocabulary(WHOLE, FEW, 360)
    twice = trim_vocabulary(once.tokenizer, FEW, 340)
    assert len(twice.rows) == 340
    assert set(BYTE_TOKENS) <= set(twice.tokenizer.get_vocab())
    text = "red cotton shirt"
    assert twice.tokenizer.encode(text).tokens == WHOLE.encode(text).tokens


def test_the_same_texts_give_the_same_bytes_in_any_order() -> None:
    first, second = (trim_vocabulary(WHOLE, texts, 340).tokenizer.to_str() for texts in (FEW, FEW[::-1]))
    assert first == second


@pytest.mark.parametrize("size", [0, MINIMUM_SIZE - 1])
def test_a_size_without_room_for_pieces_is_refused(size: int) -> None:
    with pytest.raises(ConfigurationError, match="too small"):
        trim_vocabulary(WHOLE, FEW, size)


def test_a_vocabulary_of_another_kind_is_refused() -> None:
    pieces = Tokenizer(
        models.WordPiece({token: place for place, token in enumerate((*SPECIAL_TOKENS, "red"))}, unk_token="[UNK]")
    )
    with pytest.raises(ConfigurationError, match="only Unigram"):
        trim_vocabulary(pieces, FEW, 400)


def test_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no text"):
        trim_vocabulary(WHOLE, [], 400)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "[MASK]", "<0x41>", "<s>", "▁"]), max_size=8).map(" ".join))
def test_bringing_a_vocabulary_into_our_layout_changes_no_segmentation(text: str) -> None:
    arranged = arrange_tokenizer(
        FOREIGN.to_str(), {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    )
    ours = arranged.tokenizer.encode(text)
    theirs = FOREIGN.encode(text)
    if "<s>" not in text:  # in their text it is a control token, in ours it is text
        assert arranged.rows[ours.ids].tolist()[1:-1] == theirs.ids


def _foreign() -> Tokenizer:
    """The same pieces as in WHOLE, with the control tokens of XLM-R at their places."""
    stated = json.loads(WHOLE.to_str())
    pieces = [entry for entry in stated["model"]["vocab"] if entry[0] not in (*SPECIAL_TOKENS, *BYTE_TOKENS)]
    controls = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]]
    stated["model"] |= {"vocab": [*controls, *pieces], "unk_id": 3, "byte_fallback": False}
    tokenizer = Tokenizer.from_str(json.dumps({**stated, "added_tokens": [], "post_processor": None}))
    tokenizer.add_special_tokens([name for name, _ in controls])
    return tokenizer


FOREIGN = _foreign()


def test_rows_of_our_layout_are_those_of_the_same_tokens() -> None:
    arranged = arrange_tokenizer(
        FOREIGN.to_str(), {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    )
    assert arranged.rows[:5].tolist() == [1, 3, 0, 2, -1]
    names = [arranged.tokenizer.id_to_token(place) for place in range(5, len(arranged.rows))]
    assert [FOREIGN.id_to_token(int(row)) for row in arranged.rows[5:]] == names
    assert len(np.unique(arranged.rows)) == len(arranged.rows)
