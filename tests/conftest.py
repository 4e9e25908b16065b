"""A small training set, and one teacher and one student trained from it, shared by all tests that need them."""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.bundle import BundleManifest
from schemas.manifests import to_json
from schemas.training_set import DATA_FOLDER, MANIFEST_FILE, TRAINING_ROWS, TrainingSetManifest
from schemas.workspace import Workspace

_WORDS = {
    "US": [
        "red",
        "cotton",
        "shirt",
        "blue",
        "leather",
        "shoes",
        "men",
        "women",
        "running",
        "kitchen",
        "knife",
        "steel",
        "bottle",
        "water",
        "garden",
        "chair",
        "wood",
        "lamp",
    ],
    "DE": [
        "rot",
        "baumwolle",
        "hemd",
        "blau",
        "leder",
        "schuhe",
        "herren",
        "damen",
        "laufen",
        "küche",
        "messer",
        "stahl",
        "flasche",
        "wasser",
        "garten",
        "stuhl",
        "holz",
    ],
    "JP": ["赤い", "綿", "シャツ", "青", "革", "靴", "包丁", "水筒", "庭", "椅子", "木製", "ランプ"],
}
_LANGUAGES = {"US": "en", "DE": "de", "JP": "ja"}


def _rows(count: int) -> list[dict[str, object]]:
    """Listings about one of a few topics each, so that there is something to learn."""
    draw = random.Random(11)
    rows: list[dict[str, object]] = []
    for i in range(count):
        locale = draw.choice(list(_WORDS))
        words = _WORDS[locale]
        topic = draw.randrange(len(words) - 4)
        rows.append(
            {
                "locale": locale,
                "item_id": f"I{i:05}",
                "language": _LANGUAGES[locale],
                "title": " ".join(draw.choices(words[topic : topic + 4], k=draw.randint(3, 12))),
                "bullets": [" ".join(draw.choices(words[topic : topic + 4], k=5))] if i % 3 == 0 else None,
                "description": None,
                "brand": draw.choice(["Acme", "Zephyr", None]),
                "category": None,
                "attributes": [{"name": "size", "value": str(draw.randint(1, 50))}] if i % 2 else [],
                "content_hash": hashlib.sha256(str(i).encode()).hexdigest(),
            }
        )
    return rows


def _write_training_set(
    workspace: Workspace,
    *,
    name: str = "small",
    version: str = "v1",
    rows: int = 240,
    files: int = 1,
    **manifest_values: object,
) -> Path:
    """A training set as ``jobs/sample_training_set.py`` leaves it; returns its folder."""
    folder = Path(workspace.training_set(name, version))
    (folder / DATA_FOLDER).mkdir(parents=True)
    listed = _rows(rows)
    hashes = {}
    for part in range(files):
        file = folder / DATA_FOLDER / f"part-{part}.parquet"
        pq.write_table(pa.Table.from_pylist(listed[part::files], TRAINING_ROWS.arrow_schema()), file)
        hashes[f"{DATA_FOLDER}/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    values: dict[str, object] = {
        "name": name,
        "version": version,
        "created_at": "2026-01-01T00:00:00+00:00",
        "source_table": "listings",
        "source_version": 0,
        "filters": [],
        "plan": {},
        "seed": 0,
        "rows": rows,
        "content_hash": hashlib.sha256(f"{rows} rows".encode()).hexdigest(),
        "token_unit": "characters",
        "files": hashes,
    }
    counts = (
        "available_rows_by_language",
        "rows_by_language",
        "listings_by_language",
        "duplicates_by_locale",
        "rows_by_locale",
        "tokens_by_language",
        "tokens_by_locale",
    )
    values |= {count: {} for count in counts} | manifest_values
    (folder / MANIFEST_FILE).write_text(to_json(TrainingSetManifest(**values)), encoding="utf-8")  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="session")
def write_training_set() -> Callable[..., Path]:
    return _write_training_set


@dataclass(frozen=True)
class Trained:
    """A workspace with a training set, a teacher and a student; tests may read it, none may write to it."""

    workspace: Workspace
    teacher: BundleManifest
    student: BundleManifest

    @property
    def teacher_folder(self) -> Path:
        return Path(self.workspace.bundle(self.teacher.id))

    @property
    def student_folder(self) -> Path:
        return Path(self.workspace.bundle(self.student.id))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    pytest.importorskip("torch", reason="training needs the extra m5[train]")
    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set
    from m5model.distillation.config import DistillationConfig
    from m5model.distillation.recipe import distill_student
    from m5model.encoders.presets import TINY
    from m5model.training.config import TrainingConfig
    from m5model.training.teacher import train_teacher

    workspace = Workspace(str(tmp_path_factory.mktemp("trained")))
    _write_training_set(workspace)
    training_set = open_training_set(find_training_set(workspace, None))
    teacher = train_teacher(workspace, training_set, TINY, TrainingConfig.for_preset(TINY, steps=30, threads=1))
    config = DistillationConfig.for_preset(TINY, steps=40, threads=1)
    student = distill_student(workspace, training_set, workspace.bundle(teacher.id), TINY, config)
    yield Trained(workspace, teacher, student)
