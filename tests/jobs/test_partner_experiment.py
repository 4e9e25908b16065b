"""The job that runs a partner's experiment: its report, tracking, and what it refuses. Nothing is published, so no Spark."""

import csv
import json
import sqlite3
from pathlib import Path

import pytest

from jobs import run_partner_experiment as job

COLUMNS = ("left_text", "right_text", "is_match", "left_price", "right_price", "product_line")
KINDS = ("lamp", "shirt", "shoes", "kettle", "chair")
COLOURS = ("red", "blue", "green", "white", "black", "grey")


def write_pairs(file: Path, products: int = 90, **changes: str) -> Path:
    """A CSV as a partner has it: texts, labels and evidence, neither splits nor entities."""
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS)
        writer.writeheader()
        for number in range(products):
            other = (number + 7) % products
            for second in (number, other):
                row = (_left(number), _right(second), str(second == number).lower(), 10 + number, 10.5 + second, "hardlines")
                writer.writerow(dict(zip(COLUMNS, row, strict=True)) | changes)
    return file


def _left(product: int) -> str:
    return f"{COLOURS[product % 6]} {KINDS[product % 5]} model K{product:03d}"


def _right(product: int) -> str:
    return f"{KINDS[product % 5]} K{product:03d} in {COLOURS[product % 6]}, new"


@pytest.fixture
def flags(trained, tmp_path: Path) -> list[str]:
    """Of a workspace of its own, with the shared student."""
    (tmp_path / "w").mkdir()
    bundle = str(trained.student_folder)
    return ["--workspace", str(tmp_path / "w"), "--bundle", bundle, "--partner", "duplicates", "--threads", "1"]


def test_own_pairs_in_a_csv_become_a_report_a_model_and_a_tracked_run(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "mlflow.db"
    labels = str(write_pairs(tmp_path / "pairs.csv"))
    flags += ["--labels", labels, "--strategy", "frozen", "--set", "trees=40", "--note", "made for a test"]

    def report_of(*more: str) -> dict:
        assert job.main([*flags, *more]) == 0
        report: dict = json.loads(capsys.readouterr().out.splitlines()[-1])
        return report

    report = report_of("--tracking-uri", f"sqlite:///{database}")
    assert report["pr_auc"] > 0.9
    assert report["verdict"] in ("better", "worse", "not shown")
    assert "made for a test" in Path(report["page"]).read_text(encoding="utf-8")
    assert any("the view duplicates was not published" in warning for warning in report["warnings"])
    with sqlite3.connect(database) as tracked:
        params = dict(tracked.execute("select key, value from params"))
    assert params["bundle"] == report["bundle"]
    assert params["labels_content_hash"] == report["labels"]["content_hash"]
    assert report_of("--no-publish")["experiment"] == report["experiment"]


def test_a_file_with_faults_ends_with_3_and_names_that_there_are_not_with_2(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags += ["--labels", str(write_pairs(tmp_path / "pairs.csv", products=20, left_price="cheap"))]
    assert job.main(flags) == 3
    assert "row 1: left_price is 'cheap', expected double" in capsys.readouterr().err
    for wrong in (["--partner", "nobody"], ["--strategy", "magic"], ["--set", "tres=3"], ["--bundle", "none"]):
        labels = ["--labels", str(write_pairs(tmp_path / "good.csv"))]
        assert job.main([*flags, *labels, *wrong]) == 2
    error = capsys.readouterr().err
    for part in ("there is no partner 'nobody'", "there is no strategy 'magic'", "no setting 'tres'", "no bundle 'none'"):
        assert part in error
