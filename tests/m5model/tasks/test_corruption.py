"""Corrupted fields are other rows' fields, the same ones for the same seed and step, and can be told."""

from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from m5model.data.randomness import generator_for
from m5model.data.token_rows import tokenize_rows
from m5model.data.training_sets import open_training_set
from m5model.data.vocabulary import train_vocabulary
from m5model.runtime.rendering import FIELDS, render
from m5model.tasks import TaskData, corruption
from schemas.workspace import Workspace
from tests.m5model.tasks.conftest import learn, words_of

WORDS = {
    "title": ("red shirt", "rotes hemd"),
    "brand": ("Smith", "Schmidt"),
    "category": ("clothing", "kleidung"),
    "description": ("very good", "sehr gut"),
}


def _listings(count: int) -> Dataset:
    """Every field is English, or every one German in every fourth row, so that another listing's field can be told."""
    rows = []
    for i in range(count):
        row = dict.fromkeys(FIELDS) | {name: words[i % 4 == 0] for name, words in WORDS.items()}
        row |= {"bullets": [], "attributes": []}
        rows.append({**row, "text": render(row), "key": i})
    return Dataset.from_list(rows)


@pytest.fixture
def data() -> TaskData:
    rows = _listings(200)
    tokenizer = words_of(rows["text"][:])
    learned, held_out = (tokenize_rows(rows.select(part), tokenizer, 64) for part in (range(150), range(150, 200)))
    return TaskData(learn=learned, held_out=held_out, seed=0, tokenizer=tokenizer, max_tokens=64)


def test_fields_of_other_rows_are_put_in_and_only_into_fields_that_a_listing_has() -> None:
    listings = corruption.Listings(_listings(60))
    rows = np.arange(40)
    made, is_corrupted_BF = listings.corrupt(rows, 0.5, generator_for("test"))
    assert 0.05 < is_corrupted_BF[:, [0, 1, 2, 5]].mean() < 0.4
    assert not is_corrupted_BF[:, 3:5].any()
    originals = _listings(60)
    for row, listing, is_corrupted_F in zip(rows, made, is_corrupted_BF, strict=True):
        for field, is_corrupted in zip(FIELDS, is_corrupted_F, strict=True):
            assert (listing[field] != originals[int(row)][field]) == bool(is_corrupted)
    again, _ = listings.corrupt(rows, 0.5, generator_for("test"))
    assert again == made


def test_corrupted_fields_are_told_from_whole_ones(data) -> None:
    task, learned = learn(corruption, corruption.Settings(batch_rows=32), data, steps=150, rate=5e-3)
    assert task.outcomes == 2
    assert learned.after > learned.before + 0.1
    assert not learned.unmoved


def test_a_step_of_a_training_set_is_the_same_every_time(tmp_path: Path, write_training_set) -> None:
    opened = open_training_set(str(write_training_set(Workspace(str(tmp_path)), rows=80)))
    tokenizer = train_vocabulary(opened.learn["text"][:], 300)
    parts = {"learn": tokenize_rows(opened.learn, tokenizer, 64), "held_out": tokenize_rows(opened.held_out, tokenizer, 64)}

    def batch(step: int) -> corruption.CorruptedListings:
        from tests.m5model.tasks.conftest import MICRO, build_encoder

        given = TaskData(**parts, seed=0, tokenizer=tokenizer, max_tokens=64)
        return corruption.build(corruption.Settings(), build_encoder(MICRO), given).batch(step, np.arange(32))

    one, same, other = batch(1), batch(1), batch(2)
    assert (one.is_corrupted_BF == same.is_corrupted_BF).all() and (one.is_corrupted_BF != other.is_corrupted_BF).any()
    assert all((a == b).all() for (a, _), (b, _) in zip(one.texts.parts, same.texts.parts, strict=True))
    assert one.has_field_BF[:, 0].all() and 0 < one.has_field_BF.mean() < 1
