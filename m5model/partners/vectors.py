"""Unit vectors of texts in one space, each text encoded once: by a bundle's int8 engine, its fp32 graph, or a teacher's torch.

Tensor suffixes: B rows, D dimensions.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from m5model.bundles.find import find_bundle, open_bundle
from m5model.runtime.encoder import Encoder, read_model
from schemas.bundle import BundleManifest
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.space import sha256_hex
from schemas.workspace import Workspace

# int8: what executors run. torch: the checkpoint itself, for teachers, which have no graph.
Engine = Literal["int8", "fp32", "torch"]
ENGINES: tuple[Engine, ...] = ("int8", "fp32", "torch")
GIVEN_COLUMNS = ("text", "space_id", "vector")

Encode = Callable[[list[str]], np.ndarray]


class Vectors:
    """Vectors of one space; texts that were asked for before are not encoded again."""

    def __init__(self, *, space_id: str, dimensions: int, bundle: str, encode: Encode) -> None:
        self.space_id = space_id
        self.dimensions = dimensions
        self.bundle = bundle  # id; empty where no bundle is behind them
        self._encode = encode
        self._place: dict[str, int] = {}
        self._known_BD = np.empty((0, dimensions), np.float32)

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors (B, D) float32 of plain texts, without any prefix."""
        missing = sorted({text for text in texts if text not in self._place})
        if missing:
            found_BD = np.asarray(self._encode(missing), np.float32)
            self._place |= {text: len(self._place) + place for place, text in enumerate(missing)}
            self._known_BD = np.concatenate([self._known_BD, found_BD])
        return self._known_BD[[self._place[text] for text in texts]]

    def known(self) -> tuple[list[str], np.ndarray]:
        """The texts that were asked for, and their vectors (B, D)."""
        return list(self._place), self._known_BD


def write_vectors(vectors: Vectors, path: Path) -> None:
    """All that was asked for, as ``read_vectors`` reads it."""
    texts, found_BD = vectors.known()
    columns = [pa.array(texts, pa.string()), pa.array([vectors.space_id] * len(texts)), pa.array(list(found_BD))]
    pq.write_table(pa.table(dict(zip(GIVEN_COLUMNS, columns, strict=True))), path)


def open_vectors(
    workspace: Workspace, bundle: str | None, *, engine: Engine = "int8", threads: int = 1
) -> tuple[Vectors, BundleManifest]:
    """The vectors of a bundle (an id or a path; None for the newest student), every byte of it checked."""
    path = find_bundle(workspace, bundle, "teacher" if engine == "torch" else "student")
    folder, manifest = open_bundle(path)
    if engine == "torch":
        from m5model.partners.torch_vectors import checkpoint_vectors

        return checkpoint_vectors(folder, manifest, threads=threads), manifest
    encoder = Encoder(read_model(folder, manifest, engine), threads=threads)
    return Vectors(
        space_id=encoder.space_id, dimensions=encoder.dimensions, bundle=manifest.id, encode=encoder.encode
    ), manifest


def given_vectors(vectors: Mapping[str, np.ndarray], space_id: str) -> Vectors:
    """Vectors that were computed before, by text."""

    def look_up(texts: list[str]) -> np.ndarray:
        absent = [text for text in texts if text not in vectors]
        if absent:
            raise ConfigurationError(
                f"there is no vector of {len(absent):,} texts, such as {absent[0][:80]!r}",
                next_step="give vectors of every text of the labels, or none and a bundle",
            )
        return np.stack([vectors[text] for text in texts])

    first = next(iter(vectors.values()))
    return Vectors(space_id=space_id, dimensions=len(first), bundle="", encode=look_up)


def read_vectors(path: Path, space_id: str | None = None) -> Vectors:
    """Vectors of a Parquet file with the columns text, space_id and vector.

    Raises SpaceMismatchError where they are of several spaces, or of another than ``space_id``.
    """
    table = pq.read_table(path)
    lacking = [name for name in GIVEN_COLUMNS if name not in table.column_names]
    if lacking:
        raise ConfigurationError(f"{path} lacks {', '.join(lacking)}", next_step=f"give the columns {', '.join(GIVEN_COLUMNS)}")
    spaces = sorted(set(table.column("space_id").to_pylist()))
    if len(spaces) != 1 or (space_id is not None and spaces != [space_id]):
        wanted = f"those of the bundle are of {space_id}" if space_id else "expected one"
        raise SpaceMismatchError(
            f"the vectors in {path} are of the space {', '.join(map(str, spaces)) or 'none'}; {wanted}",
            next_step="encode the texts with the bundle that is given, or give the bundle that encoded them",
        )
    rows = np.asarray(pa.chunked_array(table.column("vector")).to_pylist(), np.float32)
    return given_vectors(dict(zip(table.column("text").to_pylist(), rows, strict=True)), spaces[0])


def name_space(*parts: str) -> str:
    """A space id for vectors that no bundle has: a hash of what decides them."""
    return sha256_hex("\x1f".join(parts).encode())[:16]
