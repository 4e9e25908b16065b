"""A seller's text is text: names of control tokens in it are spelled in characters, and other texts keep their ids."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from m5model.data.vocabulary import SPECIAL_TOKENS, load_vocabulary, save_vocabulary, train_vocabulary
from m5model.runtime.tokens import open_tokenizer, read_control_tokens_as_text, tokenize

TEXTS = [
    "red cotton shirt with [brackets] and <angles>",
    "blaue Schuhe für Herren 0x41",
    "赤い 綿 シャツ",
    "mask sep cls pad unk",
]
CONTROL_IDS = set(range(len(SPECIAL_TOKENS)))


def _plain() -> Tokenizer:
    """The vocabulary as tokenizers reads it, control tokens and all."""
    tokenizer = train_vocabulary(TEXTS * 20, 700)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.encode_special_tokens = False
    return tokenizer


PLAIN = _plain()
OURS = open_tokenizer(PLAIN.to_str())


@pytest.mark.parametrize(
    "text", [*SPECIAL_TOKENS, "red [MASK] shirt", "x[SEP]y", "[PAD][PAD]", "［ＭＡＳＫ］", "[[CLS]]", "a [UNK]\n[UNK]"]
)
def test_a_text_that_names_a_control_token_has_no_control_token_but_the_first_and_the_last(text: str) -> None:
    ids = OURS.encode(text).ids
    assert not set(ids[1:-1]) & CONTROL_IDS
    assert (ids[0], ids[-1]) == (PLAIN.token_to_id("[CLS]"), PLAIN.token_to_id("[SEP]"))
    assert set(PLAIN.encode(text).ids[1:-1]) & CONTROL_IDS, "the plain tokenizer takes it for control"


@pytest.mark.parametrize("text", ["<0x41>", "a<0x0A>b", "<0x41><0x42>"])
def test_a_text_that_names_a_byte_token_is_not_that_byte(text: str) -> None:
    assert OURS.decode(OURS.encode(text).ids) == text
    assert PLAIN.decode(PLAIN.encode(text).ids) != text


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["red", "[", "]", "MASK", " ", "<", "0x", ">", "ü", "綿", "\U0001f600", "[ MASK ]", "<0x4>", "4"]))
)
def test_all_other_texts_have_the_ids_that_they_had(parts: list[str]) -> None:
    text = "".join(parts)
    if not any(token in text for token in ("[MASK]", "<0x4")):
        assert OURS.encode(text).ids == PLAIN.encode(text).ids


def test_a_saved_vocabulary_reads_control_tokens_as_text_here_and_in_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    save_vocabulary(tmp_path, train_vocabulary(TEXTS * 20, 700), 64)
    ours = load_vocabulary(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in ("red [MASK] shirt", "<0x41> [SEP]", "red cotton shirt"):
        assert theirs(text)["input_ids"] == ours.encode(text).ids == OURS.encode(text).ids
    assert theirs.mask_token_id == PLAIN.token_to_id("[MASK]"), "control tokens are still there for those who ask for them"


def test_opening_twice_adds_nothing() -> None:
    once = read_control_tokens_as_text(Tokenizer.from_str(OURS.to_str()))
    assert once.to_str() == OURS.to_str()


def test_vocabularies_of_other_kinds_are_read_the_same_way() -> None:
    words = Tokenizer(models.WordLevel({"<unk>": 0, "<mask>": 1, "red": 2, "<": 3, "mask>": 4}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.add_special_tokens(["<unk>", "<mask>"])
    assert words.encode("red <mask>").ids == [2, 1]
    assert tokenize(open_tokenizer(words.to_str()), ["red <mask>"], 9).ids.tolist() == [2, 3, 4]
