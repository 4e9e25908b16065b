import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import m5model
from m5model.encoders.bert import load_encoder, save_encoder
from schemas.errors import DamagedFileError

TEXTS = ["red cotton shirt", "blaue Schuhe aus Leder, Größe 42", "赤い綿シャツ", "steel bottle " * 90]
EMBEDDINGS = "embeddings.word_embeddings.weight"


@pytest.fixture
def checkpoint(trained, tmp_path: Path) -> Path:
    """A copy of the student's checkpoint that a test may spoil."""
    save_encoder(tmp_path, load_encoder(trained.student_folder), 128)
    return tmp_path


def _rewrite(checkpoint: Path, change) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    change(weights)
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})


def test_a_missing_weight_is_an_error_that_names_it(checkpoint: Path) -> None:
    _rewrite(checkpoint, lambda weights: weights.pop("transformer.layer.1.ffn.lin1.bias"))
    with pytest.raises(DamagedFileError, match=r"missing transformer\.layer\.1\.ffn\.lin1\.bias"):
        load_encoder(checkpoint)


def test_weights_under_a_prefix_are_an_error_and_not_a_new_start(checkpoint: Path) -> None:
    """How pre-trained weights were once dropped in silence: saved from a wrapper, every name had a prefix."""

    def add_prefix(weights: dict) -> None:
        for name in list(weights):
            weights[f"encoder.{name}"] = weights.pop(name)

    _rewrite(checkpoint, add_prefix)
    with pytest.raises(DamagedFileError, match=rf"missing {EMBEDDINGS}.*unexpected encoder\.{EMBEDDINGS}"):
        load_encoder(checkpoint)


def test_a_weight_of_another_shape_is_an_error_that_names_both(checkpoint: Path) -> None:
    _rewrite(checkpoint, lambda weights: weights.update({EMBEDDINGS: weights[EMBEDDINGS][:-1].contiguous()}))
    with pytest.raises(DamagedFileError, match=rf"{EMBEDDINGS} is \(\d+, 128\), expected \(\d+, 128\)"):
        load_encoder(checkpoint)


def test_saving_and_loading_gives_the_same_weights(trained, checkpoint: Path) -> None:
    assert (checkpoint / "model.safetensors").read_bytes() == (trained.student_folder / "model.safetensors").read_bytes()


def test_plain_transformers_opens_a_student_without_a_warning_and_gives_the_runtimes_vectors(trained) -> None:
    program = f"""
import torch
from transformers import AutoModel, AutoTokenizer
model, report = AutoModel.from_pretrained({str(trained.student_folder)!r}, output_loading_info=True)
assert not any(report.values()), report
tokenizer = AutoTokenizer.from_pretrained({str(trained.student_folder)!r})
batch = tokenizer({TEXTS!r}, padding=True, truncation=True, return_tensors="pt")
with torch.no_grad():
    hidden = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
mask = batch["attention_mask"].unsqueeze(-1)
vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
print(vectors.tolist())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    warnings = [line for line in done.stderr.splitlines() if "Loading weights" not in line and line.strip()]
    assert warnings == []
    _refuse_difference(trained, np.asarray(json.loads(done.stdout), np.float32))


def test_sentence_transformers_opens_a_student_and_gives_the_runtimes_vectors(trained) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(trained.student_folder), device="cpu")
    assert model.max_seq_length == 128
    _refuse_difference(trained, model.encode(TEXTS))


def _refuse_difference(trained, vectors_BD: np.ndarray) -> None:
    expected_BD = m5model.load(str(trained.student_folder), precision="fp32").encode(TEXTS)
    assert np.abs(vectors_BD - expected_BD).max() <= 1e-4
    assert (vectors_BD * expected_BD).sum(axis=1).min() > 0.9999
