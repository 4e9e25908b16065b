"""What many tests share: one lazy Spark session, a small training set, and a teacher and a student trained from it.

`make test` runs two pytest workers side by side, whole files each, with a session of their own. The models are trained once for
both.
"""

import hashlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from schemas.bundle import BundleManifest
from schemas.manifests import to_json
from schemas.training_set import COUNT_FIELDS, DATA_FOLDER, MANIFEST_FILE, TRAINING_ROWS, TrainingSetManifest
from schemas.workspace import Workspace
from spark.setup.quick_start import SHORT_LIVED

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# For every JVM of the suite, those of jobs too. The quick compiler alone has room for 48 MB of code, which a session of many
# tests fills within minutes: what it compiled is then thrown away and compiled again.
ROOMY = "-XX:ReservedCodeCacheSize=256m -XX:MetaspaceSize=400m -Xmn400m"
os.environ.setdefault("SPARK_SUBMIT_OPTS", f"{SHORT_LIVED} {ROOMY}")

# Files that take longest, longest first: a worker that begins one of them last would work alone at the end.
LONG_FILES = (
    "tests/jobs/test_on_a_cluster.py",
    "tests/spark/ingest/test_ingest_history.py",
    "tests/jobs/test_real_catalogue.py",
    "tests/jobs/test_refresh.py",
    "tests/spark/embedding/test_embedding.py",
    "tests/spark/ingest/test_ingest.py",
    "tests/spark/sampling/test_sampling.py",
    "tests/spark/features",
    "tests/spark/ingest/test_order.py",
    "tests/spark/ingest/test_ingest_replay.py",
    "tests/jobs",
    "tests/spark",
)

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
    values |= {count: {} for count in COUNT_FIELDS} | manifest_values
    (folder / MANIFEST_FILE).write_text(to_json(TrainingSetManifest(**values)), encoding="utf-8")  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_tracking() -> Iterator[None]:
    """Runs are not tracked but where a test says so: a fresh MLflow database takes seconds."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_URI", "none")
        yield


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
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    pytest.importorskip("torch", reason="training needs the extra m5[train]")
    from m5model.bundles.find import list_bundles

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    workspace = Workspace(str(shared / "trained"))
    with FileLock(shared / "trained.lock"):
        if not Path(workspace.root).exists():
            _train(workspace)
    teacher, student = list_bundles(workspace)
    return Trained(workspace, teacher, student)


def _train(workspace: Workspace) -> None:
    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set
    from m5model.distillation.recipe import student
    from m5model.distillation.student import distill_student
    from m5model.encoders.presets import TINY
    from m5model.export.teacher import train_teacher
    from m5model.training.config import Machine
    from m5model.training.recipes import teacher

    _write_training_set(workspace)
    machine = Machine(threads=1)
    training_set = open_training_set(find_training_set(workspace, None))
    parent = train_teacher(workspace, training_set, teacher(TINY, steps=30), machine)
    recipe = student(TINY, (parent,), steps=60)
    distill_student(workspace, training_set, (workspace.bundle(parent.id),), recipe, machine=machine)


@pytest.fixture(scope="session")
def spark() -> "Iterator[SparkSession]":
    """One session for all tests of a worker, built as jobs build theirs. Jobs that a test calls in this process use it, too."""
    from spark.setup.session import build_session

    quick = {
        "spark.master": "local[2,4]",
        "spark.sql.shuffle.partitions": "1",
        "spark.databricks.delta.snapshotPartitions": "1",
        # Most queries of a test run once: to generate and compile code for them takes longer than to interpret them. The JVMs
        # of the cluster, of the quick start and of commands keep the defaults.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
    }
    session = build_session("m5 tests", settings=lambda _: quick)
    yield session
    session.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; within a file, and among the other files, as collected."""

    def place(item: pytest.Item) -> int:
        return next((i for i, name in enumerate(LONG_FILES) if item.nodeid.startswith(name)), len(LONG_FILES))

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the time went: seconds by folder of tests."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[str(Path(report.nodeid.partition("::")[0]).parent)] += report.duration
    terminalreporter.section("seconds by folder")
    for folder, total in seconds.most_common():
        terminalreporter.write_line(f"{total:7.1f}  {folder}")
