"""The four balance plans side by side on the real catalogue: shares, repeats and tokens by language.

    python benchmarks/balance_plans.py [--rows 60000] [--vocabulary BUNDLE]

Duplicates are left out, and each plan is drawn and pinned as a set of its own: cap-floor at its largest size without
repeats, the others at ``--rows``, where small languages repeat as often as the plan allows. The last line of stdout is one
JSON object; the same as a table goes to stderr.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace

from inputs.catalogue import write_listings
from inputs.listings import REAL_CATALOGUE

from schemas.training_set import TrainingSetManifest
from schemas.workspace import Workspace
from spark.sampling.plans import PRESETS
from spark.sampling.sample import SampleSettings, sample_training_set
from spark.setup.session import build_session

ALL_ROWS = 109_762
REPEATS = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listings", type=int, default=ALL_ROWS, help="listings of the catalogue (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=60_000, help="rows of each set but cap-floor's (default: %(default)s)")
    parser.add_argument("--vocabulary", help="path of a bundle whose vocabulary counts tokens; characters otherwise")
    arguments = parser.parse_args()
    spark = build_session("m5 balance_plans")
    plans = {name: make() for name, make in PRESETS.items()}
    plans = {name: plan if name == "cap-floor" else replace(plan, rows=arguments.rows) for name, plan in plans.items()}
    plans["multinomial"] = replace(plans["multinomial"], max_repeats=REPEATS)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        write_listings(spark, workspace, arguments.listings)
        manifests = {}
        for name, plan in plans.items():
            settings = SampleSettings(name=name, plan=plan, vocabulary=arguments.vocabulary)
            manifests[name] = sample_training_set(spark, workspace, settings).manifest
    spark.stop()
    sys.stderr.write(as_table(manifests))
    figures = {
        "benchmark": "balance_plans",
        "origin": "real" if list(REAL_CATALOGUE.glob("*.parquet")) else "sample",
        "plans": {name: as_figures(manifest) for name, manifest in manifests.items()},
    }
    print(json.dumps(figures))
    return 0


def as_figures(manifest: TrainingSetManifest) -> dict[str, object]:
    languages = manifest.rows_by_language
    return {
        "rows": manifest.rows,
        "token_unit": manifest.token_unit,
        "share": {name: round(rows / manifest.rows, 4) for name, rows in languages.items()},
        "repeats": {name: round(rows / manifest.listings_by_language[name], 2) for name, rows in languages.items() if rows},
        "tokens": dict(manifest.tokens_by_language),
    }


def as_table(manifests: dict[str, TrainingSetManifest]) -> str:
    """A line a language: share of the rows, repeats and tokens under each plan."""
    columns = " | ".join(f"{name}: share, repeats, {manifest.token_unit}" for name, manifest in manifests.items())
    head = f"| language | available | {columns} |"
    lines = [head, "|---" * (2 + len(manifests)) + "|"]
    any_one = next(iter(manifests.values()))
    for language, available in any_one.available_rows_by_language.items():
        cells = []
        for manifest in manifests.values():
            rows, own = manifest.rows_by_language.get(language, 0), manifest.listings_by_language.get(language, 0)
            tokens = manifest.tokens_by_language.get(language, 0)
            cells.append(f"{rows / manifest.rows:.1%}, {rows / own if own else 0:.2f}, {tokens:,}")
        lines.append(f"| {language} | {available:,} | " + " | ".join(cells) + " |")
    totals = " | ".join(f"{m.rows:,} rows, {sum(m.tokens_by_language.values()):,}" for m in manifests.values())
    lines.append(f"| all | {sum(any_one.available_rows_by_language.values()):,} | {totals} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
