"""Prints what the demo made: counts from the jobs' reports, rows from the tables themselves.

The tables are read with delta-rs, as a partner without Spark would.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from jobs.demo_judgement import judge_demo
from m5model.bundles.find import list_bundles
from m5model.encoders.starter import has_starter
from m5model.files import storage
from schemas.features import DECLARATION_PROPERTY, FOLDER
from schemas.workspace import Workspace

NEXT = """  source .venv/bin/activate
  spark-submit jobs/embed_catalog.py                       again: nothing is left to do, and nothing is written
  spark-submit jobs/ingest_catalog.py --feed YOUR-FEEDS    your own listings: JSON Lines, CSV or Parquet
  m5 inspect {bundle}
  m5 encode {bundle} "red cotton shirt"
  python jobs/train_model.py --init starter --pairs LABELS --steps 300   learns from pairs (jobs/import_labels.py)
  python -c "from deltalake import DeltaTable; print(DeltaTable('{workspace}/features/brands').to_pandas().head())\""""


def print_summary(workspace: Workspace, lines: Mapping[str, str], *, run_seconds: float, setup_seconds: int | None) -> None:
    """``lines`` holds each stage's report line."""
    reports = {name: json.loads(line) for name, line in lines.items()}
    _print_ingest(reports["ingest"])
    _print_balance(reports["sample"])
    _print_models(workspace)
    _print_vectors(reports["embed"], workspace)
    _print_views(workspace)
    _print_judgement(workspace)
    student = list_bundles(workspace)[-1]
    setup = "" if setup_seconds is None else f"setup with downloads {setup_seconds} s when it was done, "
    _heading("Where everything lies")
    for place in ("listings", "listing_rejects", "training_sets", "bundles", "embeddings", "features", "reports", "logs"):
        print(f"  {workspace.root}/{place}")
    _heading("What to try next")
    print(NEXT.format(bundle=workspace.bundle(student.id), workspace=workspace.root))
    print(f"\nTime: {setup}run {run_seconds:.0f} s")


def _heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def _print_ingest(report: Mapping[str, Any]) -> None:
    accounting = report["accounting"]
    _heading("Ingest: every record accounted for")
    for name in ("rows_in", "written", "unchanged", "superseded", "rejected"):
        print(f"  {name:<20}{accounting[name]:>9,}")
    for reason, count in accounting["rejected_reasons"].items():
        print(f"    rejected, {reason:<22}{count:>6,}")
    for repair, count in report["repairs"].items():
        print(f"    repaired, {repair:<22}{count:>6,}")


def _print_balance(report: Mapping[str, Any]) -> None:
    before, after = report["available_rows_by_language"], report["rows_by_language"]
    _heading(f"Training set {report['training_set']}: languages before and after balancing")
    for language in sorted(before, key=lambda name: -before[name]):
        old, new = before[language] / sum(before.values()), after[language] / sum(after.values())
        print(f"  {language}  {before[language]:>6,} {old:>6.1%} {_bar(old)}   {after[language]:>6,} {new:>6.1%} {_bar(new)}")


def _bar(share: float, width: int = 24) -> str:
    return ("█" * round(share * 40)).ljust(width)[:width]


def _print_models(workspace: Workspace) -> None:
    _heading("Models")
    for manifest in list_bundles(workspace):
        sizes = {name: int(entry["bytes"]) / 1e6 for name, entry in manifest.files.items()}  # type: ignore[arg-type]
        big = ", ".join(
            f"{name} {size:.1f} MB" for name, size in sizes.items() if name.endswith((".onnx", "model.safetensors"))
        )
        print(f"  {manifest.id:<26}{manifest.parameters / 1e6:>6.1f}M parameters   {big}")


def _print_vectors(report: Mapping[str, Any], workspace: Workspace) -> None:
    counts = DeltaTable(workspace.table("embeddings")).to_pyarrow_table(columns=["locale", "space_id"])
    by_locale = counts.group_by("locale").aggregate([("space_id", "count")]).sort_by("locale").to_pylist()
    _heading(f"Vectors per locale (space {report['space_id']}, {report['rows_per_s']:,.0f} rows/s)")
    cells = [f"{row['locale']} {row['space_id_count']:,}" for row in by_locale]
    for start in range(0, len(cells), 8):
        print("  " + "   ".join(f"{cell:<9}" for cell in cells[start : start + 8]))


def _print_views(workspace: Workspace) -> None:
    _heading("Feature tables, with a row of each")
    for name in storage.list_folders(f"{workspace.root}/{FOLDER}"):
        published = DeltaTable(workspace.table(f"{FOLDER}/{name}"))
        declaration = json.loads(published.metadata().configuration[DECLARATION_PROPERTY])
        table = published.to_pyarrow_table()
        print(f"  {name:<12}{table.num_rows:>8,} rows   {declaration['description']}")
        for row in table.slice(table.num_rows // 2, 1).to_pylist():
            print("      " + ", ".join(f"{column}={_shorten(value)}" for column, value in row.items()))


def _print_judgement(workspace: Workspace) -> None:
    """Print what the sample's labels say of the vectors."""
    _heading("Judged by the sample's own labels, beside the strongest simple rival on the same rows")
    for one in judge_demo(workspace, Path(f"{workspace.root}/sample_catalogue/labels")):
        figures = f"{one.ours:.3f}   {one.rival} {one.theirs:.3f}"
        print(f"  {one.task:<24}{one.metric:<18}{figures:<36}{one.low:+.3f} to {one.high:+.3f}  {one.verdict}")
        if one.beside:
            print("      " + ", ".join(f"{name} {value:.3f}" for name, value in one.beside.items()))
    print("  The interval is of the difference, 95%, over resampled items or queries; level: it holds zero.")
    if not has_starter():
        print("  Trained from nothing in a minute, vectors say little. Install the extra m5[starter] and run the demo again.")


def _shorten(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(f'{number:.3f}' for number in value[:3])}, … {len(value)} numbers]"
    return f"{value:.3f}" if isinstance(value, float) else str(value)[:40]
