"""Does this checkout make the same bundles as another one, byte for byte?

    python benchmarks/same_bytes.py > now.json                                      # this checkout
    PYTHONPATH=OTHER-CHECKOUT python benchmarks/same_bytes.py --against now.json    # another one, compared with it

Writes a small pinned training set (the same on every machine), trains a teacher and distils a student with the jobs of the
checkout that Python imports, on the CPU with one thread. It calls the jobs by their flags alone, because flags do not change.
The last line of stdout is one JSON object: the SHA-256 of every file of both bundles. With ``--against`` it also names the
files that differ, and the exit code is 1 if there are any.
"""

import argparse
import contextlib
import hashlib
import io
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import distill_student, train_model
from schemas.training_set import DATA_FOLDER, MANIFEST_FILE, TRAINING_ROWS
from schemas.workspace import Workspace

ROWS = 240
COMMON = ("--preset", "tiny", "--device", "cpu", "--threads", "1", "--tracking-uri", "none")
WORDS = {
    ("US", "en"): "red blue cotton leather shirt shoes running kitchen knife steel bottle garden chair wood lamp",
    ("DE", "de"): "rot blau baumwolle leder hemd schuhe laufen küche messer stahl flasche garten stuhl holz lampe",
    ("JP", "ja"): "赤い 青 綿 革 シャツ 靴 走る 台所 包丁 鋼 水筒 庭 椅子 木製 ランプ",
}
COUNTS = (
    "available_rows_by_language", "rows_by_language", "listings_by_language", "rows_by_locale", "duplicates_by_locale",
    "tokens_by_language", "tokens_by_locale",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, metavar="FILE", help="what an earlier call printed")
    parser.add_argument("--teacher-steps", type=int, default=30, help="(default: %(default)s)")
    parser.add_argument("--student-steps", type=int, default=40, help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        found = make_bundles(Workspace(folder), arguments.teacher_steps, arguments.student_steps)
    outcome: dict[str, object] = {"benchmark": "same_bytes", "bundles": found}
    if arguments.against:
        earlier = json.loads(arguments.against.read_text(encoding="utf-8").splitlines()[-1])["bundles"]
        outcome["differing"] = list_differing(earlier, found)
    print(json.dumps(outcome))
    return 1 if outcome.get("differing") else 0


def make_bundles(workspace: Workspace, teacher_steps: int, student_steps: int) -> dict[str, dict[str, str]]:
    """Kind of bundle → path of a file in it → SHA-256."""
    write_set(Path(workspace.training_set("pinned", "v1")))
    root = ["--workspace", workspace.root, *COMMON]
    refused = ["--min-correlation", "-1"]  # a gate has no say here: the bytes alone count
    return {
        "teacher": _hash_files(workspace, _run(train_model, [*root, "--steps", str(teacher_steps)])),
        "student": _hash_files(workspace, _run(distill_student, [*root, *refused, "--steps", str(student_steps)])),
    }


def list_differing(earlier: dict[str, dict[str, str]], now: dict[str, dict[str, str]]) -> list[str]:
    """Files that only one side has, or whose bytes differ: ``student/onnx/model.onnx``."""
    sides = [
        {f"{kind}/{name}": value for kind, files in side.items() for name, value in files.items()} for side in (earlier, now)
    ]
    return sorted(name for name in sides[0].keys() | sides[1].keys() if sides[0].get(name) != sides[1].get(name))


def write_set(folder: Path) -> None:
    """A training set as jobs/sample_training_set.py leaves it, of listings about one of a few topics each."""
    file = folder / DATA_FOLDER / "part-0.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(_rows(), TRAINING_ROWS.arrow_schema()), file)
    manifest = {
        "name": folder.parent.name,
        "version": folder.name,
        "created_at": "2026-01-01T00:00:00+00:00",
        "source_table": "listings",
        "source_version": 0,
        "filters": [],
        "plan": {},
        "seed": 0,
        "rows": ROWS,
        "content_hash": hashlib.sha256(json.dumps(_rows()).encode()).hexdigest(),
        "token_unit": "characters",
        "files": {f"{DATA_FOLDER}/{file.name}": _sha256(file)},
        **{count: {} for count in COUNTS},
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest), encoding="utf-8")


def _rows() -> list[dict[str, object]]:
    draw = random.Random(11)
    return [_row(draw, i) for i in range(ROWS)]


def _row(draw: random.Random, i: int) -> dict[str, object]:
    (locale, language), listed = draw.choice(list(WORDS.items()))
    words = listed.split()
    topic = draw.randrange(len(words) - 4)
    return {
        "locale": locale,
        "item_id": f"I{i:05}",
        "language": language,
        "title": " ".join(draw.choices(words[topic : topic + 4], k=draw.randint(3, 12))),
        "bullets": [" ".join(draw.choices(words[topic : topic + 4], k=5))] if i % 3 == 0 else None,
        "brand": draw.choice(["Acme", "Zephyr", None]),
        "attributes": [{"name": "size", "value": str(draw.randint(1, 50))}] if i % 2 else [],
        "content_hash": hashlib.sha256(str(i).encode()).hexdigest(),
    }


def _run(job: object, arguments: list[str]) -> str:
    """Run a job; returns the id of the bundle that its report names."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = job.main(arguments)  # type: ignore[attr-defined]
    if code:
        raise SystemExit(code)
    return str(json.loads(printed.getvalue().splitlines()[-1])["bundle"])


def _hash_files(workspace: Workspace, bundle: str) -> dict[str, str]:
    folder = Path(workspace.bundle(bundle))
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST_FILE)
    return {file.relative_to(folder).as_posix(): _sha256(file) for file in files}


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
