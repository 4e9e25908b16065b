"""The teachers' vectors of a set of texts, computed once and kept: every stage and every candidate reads the same ones.

    WORKSPACE/teacher_outputs/KEY/part-00000-SHA256.npy     float32 (rows of the part, E)

The key is a hash of what decides the vectors. A part's name holds the hash of its bytes: a killed run goes on with the first
part that is missing, and a damaged part is computed again. Tensor suffixes: B rows, E dimensions of the teacher.
"""

import io
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from m5model.files import storage
from m5model.files.copies import local_copy
from m5model.training.progress import say
from schemas.canonical import identify

log = logging.getLogger(__name__)

PART_ROWS = 4_096
_PART = re.compile(r"part-(\d{5})-([0-9a-f]{64})\.npy")


@dataclass(frozen=True, kw_only=True)
class TeacherTexts:
    """Texts (or pairs of texts) as one teacher reads them, in the order in which its outputs are kept."""

    teacher: str  # bundle id
    order: np.ndarray  # (n,) int64 rows
    compute: Callable[[np.ndarray], np.ndarray]  # rows (B,) → outputs (B, E) float32
    content: str  # names texts and order, e.g. the content hash of a training set and the name of a split

    @property
    def key(self) -> str:
        """The name of the folder that keeps the vectors."""
        return identify({"teacher": self.teacher, "texts": self.content, "part_rows": PART_ROWS}, 32)


class TeacherVectors:
    """The kept vectors of one set of texts, read where they lie."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._parts = [np.load(part, mmap_mode="r") for part in parts]

    @property
    def dimensions(self) -> int:
        return int(self._parts[0].shape[1])

    def of(self, places: np.ndarray) -> np.ndarray:
        """Unit vectors (B, E) float32 of the places (B,) in the order of the texts."""
        return np.stack([self._parts[place // PART_ROWS][place % PART_ROWS] for place in places.tolist()])


def open_outputs(root: str, texts: TeacherTexts, count: int) -> TeacherVectors:
    """The teacher's outputs of the first ``count`` texts at least, computed where they are not kept below ``root`` yet."""
    folder = f"{root}/{texts.key}"
    kept = _kept_parts(folder)
    numbers = range(-(-min(count, len(texts.order)) // PART_ROWS))
    missing = [number for number in numbers if number not in kept]
    for number in missing:
        rows = texts.order[number * PART_ROWS : (number + 1) * PART_ROWS]
        say(f"outputs of {texts.teacher}: part {number + 1:,} of {len(numbers):,}, {len(rows):,} texts")
        kept[number] = _keep(folder, number, texts.compute(rows))
    names = [kept[number] for number in numbers]
    local = local_copy(folder, {name: _hash_of(name) for name in names})
    return TeacherVectors([local / name for name in names])


def _kept_parts(folder: str) -> dict[int, str]:
    """Number → name of the parts that are whole; damaged ones are deleted."""
    kept = {}
    for name in storage.list_files(folder):
        found = _PART.fullmatch(name)
        if found is None:
            continue
        if sha256(storage.read_bytes(f"{folder}/{name}")).hexdigest() == found[2]:
            kept[int(found[1])] = name
        else:
            log.warning("%s/%s is damaged and is computed again", folder, name)
            storage.delete_file(f"{folder}/{name}")
    return kept


def _keep(folder: str, number: int, vectors_BE: np.ndarray) -> str:
    stream = io.BytesIO()
    np.save(stream, vectors_BE)
    data = stream.getvalue()
    name = f"part-{number:05d}-{sha256(data).hexdigest()}.npy"
    storage.write_bytes(f"{folder}/{name}", data)
    return name


def _hash_of(name: str) -> str:
    found = _PART.fullmatch(name)
    return found[2] if found else ""
