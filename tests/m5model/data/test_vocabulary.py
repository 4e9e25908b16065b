import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from benchmarks.inputs.listings import sample_texts
from m5model.data.vocabulary import (
    MINIMUM_SIZE,
    PAD_ID,
    SPECIAL_TOKENS,
    UNK_ID,
    _canonical_pieces,
    load_vocabulary,
    save_vocabulary,
    train_vocabulary,
)
from schemas.errors import ConfigurationError

TEXTS = [f"red cotton shirt {n} | Größe: {n % 50} | 赤い綿シャツ | قميص قطني أحمر" for n in range(200)]
LEARN_AND_HASH = """
import hashlib, json, pathlib, sys
from m5model.data.vocabulary import train_vocabulary
texts = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
print(hashlib.sha256(train_vocabulary(texts, 1500).to_str().encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def tokenizer():
    return train_vocabulary(TEXTS, 600)


def random_words() -> list[str]:
    draw = random.Random(3)
    words = ["".join(draw.choice("abcdefghijklmnopäöü赤綿") for _ in range(draw.randint(2, 9))) for _ in range(900)]
    return [" ".join(draw.choices(words, k=12)) for _ in range(700)]


def listings() -> list[str]:
    """Texts with characters that no learned piece is alone: capitals of frequent words."""
    return sample_texts(300)


@pytest.mark.parametrize("make_texts", [random_words, listings])
def test_the_same_texts_give_the_same_bytes_in_any_process_with_any_number_of_threads(make_texts, tmp_path: Path) -> None:
    (tmp_path / "texts.json").write_text(json.dumps(make_texts()), encoding="utf-8")
    found = set()
    for threads in ("1", "2", "4"):
        environment = {**os.environ, "RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true"}
        run = subprocess.run(
            [sys.executable, "-c", LEARN_AND_HASH, str(tmp_path / "texts.json")],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        found.add(run.stdout.strip())
    assert len(found) == 1


def test_of_characters_that_are_no_piece_the_rarer_ones_are_cut_off_first() -> None:
    """The trainer scores them worst, 0.0001 apart, in the order of a hash map."""
    learned = {"red": -2.0, "a": -3.1, "shirt": -9.0, "X": -9.0, "Q": -8.9999, "Z": -8.9998}
    learner = Tokenizer(models.Unigram(list(learned.items())))
    ranked = _canonical_pieces(learner, {"X": 3, "Q": 1, "Z": 2, "a": 90})
    assert ranked == [("red", -2.0), ("a", -3.1), ("X", -8.9998), ("Z", -8.9999), ("Q", -9.0), ("shirt", -9.0)]


def test_special_tokens_have_the_ids_that_the_runtime_relies_on(tokenizer) -> None:
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert SPECIAL_TOKENS[PAD_ID] == "[PAD]"


@pytest.mark.parametrize("text", ["ภาษาไทย", "🛒🧦", "ᚠᛇᚻ rune", "a\x7fb", "İstanbul ığüşöç"])
def test_no_text_is_unknown_even_in_scripts_that_were_never_seen(tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    assert UNK_ID not in ids
    assert tokenizer.decode(ids).strip() == text


def test_full_width_and_half_width_forms_are_one_text(tokenizer) -> None:
    assert tokenizer.encode("ＲＥＤ　ｼｬﾂ １２").ids == tokenizer.encode("RED シャツ 12").ids


def test_a_text_begins_with_cls_and_ends_with_sep(tokenizer) -> None:
    tokens = tokenizer.encode("red shirt").tokens
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")


def test_a_small_corpus_gives_fewer_tokens_than_asked_for_and_never_more() -> None:
    assert train_vocabulary(TEXTS, 50_000).get_vocab_size() < 50_000
    assert train_vocabulary(TEXTS, 280).get_vocab_size() <= 280


def test_a_vocabulary_without_room_or_without_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=str(MINIMUM_SIZE)):
        train_vocabulary(TEXTS, MINIMUM_SIZE - 1)
    with pytest.raises(ConfigurationError, match="no text"):
        train_vocabulary([], 1_000)


def test_transformers_opens_it_and_gives_the_same_ids(tokenizer, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    save_vocabulary(tmp_path, tokenizer, max_tokens=16)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    long_text = " ".join(TEXTS[:3])
    assert opened(TEXTS[0])["input_ids"] == load_vocabulary(tmp_path).encode(TEXTS[0]).ids
    truncated = opened(long_text, truncation=True)["input_ids"]
    full = tokenizer.encode(long_text).ids
    assert truncated == [*full[:15], full[-1]]
    assert (opened.pad_token_id, opened.mask_token_id) == (0, 4)


def test_more_characters_than_room_are_spelt_in_bytes_and_the_size_holds() -> None:
    rare = ["".join(chr(0x4E00 + 20 * row + column) for column in range(20)) for row in range(60)]
    tokenizer = train_vocabulary([*rare, *["赤い綿シャツ red shirt"] * 50], 400)
    assert tokenizer.get_vocab_size() <= 400
    assert UNK_ID not in tokenizer.encode(rare[-1]).ids
