"""The runtime: a vector is a function of its text alone."""

from pathlib import Path

import numpy as np
import pytest

import m5model
from m5model.runtime.batching import plan_batches
from m5model.runtime.instruction_set import instruction_set


@pytest.fixture(scope="module")
def texts(trained) -> list[str]:
    words = ["red", "cotton", "küche", "messer", "赤い", "シャツ", "steel", "bottle"]
    return [" ".join(words[(i * 7 + k) % 8] for k in range(1 + i % 150)) for i in range(200)]


def test_every_row_is_in_one_batch_of_texts_as_long_as_itself() -> None:
    counts = np.random.default_rng(0).integers(1, 60, 500)
    batches = plan_batches(counts, 128)
    assert sorted(np.concatenate([batch.rows for batch in batches])) == list(range(500))
    assert all((counts[batch.rows] == batch.length).all() and len(batch.rows) * batch.length <= 128 for batch in batches)
    assert plan_batches(np.array([300]), 128)[0].rows.tolist() == [0]


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_vector_has_the_same_bytes_alone_and_in_any_batch(trained, texts: list[str], precision: str) -> None:
    encoder = m5model.load(str(trained.student_folder), precision, threads=2)
    together = encoder.encode(texts)
    assert all(np.array_equal(encoder.encode([text])[0], vector) for text, vector in zip(texts, together, strict=True))
    shuffled = np.random.default_rng(1).permutation(len(texts))
    assert np.array_equal(encoder.encode([texts[i] for i in shuffled]), together[shuffled])


def test_nothing_is_padded_and_long_texts_are_cut_and_said_to_be(trained, texts: list[str]) -> None:
    encoder = m5model.load(str(trained.student_folder))
    encoded = encoder.encode_texts(texts)
    assert np.array_equal(encoded.computed_tokens, encoded.token_counts)
    assert encoded.token_counts.max() == encoder.max_tokens
    assert encoded.truncated.tolist() == [len(encoder._tokenizer.encode(text).ids) > encoder.max_tokens for text in texts]


def test_a_cut_text_keeps_its_closing_token_as_hugging_face_cuts_it(trained, texts: list[str]) -> None:
    from tokenizers import Tokenizer

    from m5model.runtime.tokens import tokenize

    file = str(trained.student_folder / "tokenizer.json")
    whole, cutting = Tokenizer.from_file(file), Tokenizer.from_file(file)
    whole.no_truncation()
    whole.no_padding()
    cutting.no_padding()
    cutting.enable_truncation(16)
    tokens = tokenize(whole, texts, 16)
    rows = np.flatnonzero(tokens.counts_N == 16)
    assert tokens.cut_batch(rows, 16).tolist() == [cutting.encode(texts[row]).ids for row in rows]


@pytest.mark.parametrize(
    ("flags", "family"),
    [("fpu avx2 avx512bw avx512_vnni", "avx512-vnni"), ("avx2 fma", "avx2"), ("fpu avx2 avx_vnni", "avx-vnni")],
)
def test_the_instruction_set_is_read_from_the_cpu_flags(tmp_path: Path, flags: str, family: str) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert instruction_set(tmp_path / "cpuinfo") == family
