"""What do our vectors add to what a partner would ship without them? One partner's real sets, each way beside its baseline.

    python benchmarks/partners.py --partner duplicates [--sets abt_buy] [--ways student_int8] [--keep FILE] [--workspace W]

A partner is a file benchmarks/inputs/partner_NAME.py: its sets, how a set's file is written, and the ways (strategy, engine,
settings) that are tried. ``--keep`` names a file of JSON lines: what it holds is not run again. The bundles are made of the
starter where the workspace has none. The last line of stdout is one JSON object; a set has the keys metric, baseline,
student_int8, teacher, and lift, lift_low, lift_high of the way that ``lift_of`` names.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from inputs.kept_cells import Cell, keep_cell, read_cells
from inputs.pairs import DATA
from inputs.partner_bundles import require_bundles

from m5model.partners.experiment import run_experiment
from m5model.partners.records import write_experiment
from m5model.partners.request import ExperimentRequest, open_plan
from m5model.partners.vectors import write_vectors
from m5model.reports.experiment.page import render_experiment
from m5model.training.progress import say
from schemas.experiment import ExperimentManifest
from schemas.workspace import Workspace


def main() -> int:
    arguments = _arguments()
    partner = importlib.import_module(f"inputs.partner_{arguments.partner}")
    sets, ways = arguments.sets or list(partner.SETS), arguments.ways or list(partner.WAYS)
    cells = {(cell["set"], cell["way"], cell["seed"]): cell for cell in read_cells(arguments.keep)}
    with tempfile.TemporaryDirectory(prefix="m5-partners-") as folder:
        workspace = Workspace(str(arguments.workspace or folder))
        for name in sets:
            for way in (way for way in ways if way in _ways_of(partner, name)):
                key = (name, way, arguments.seed)
                if key not in cells:
                    require_bundles(workspace, arguments.data)
                    cells[key] = _run(partner, workspace, name, way, arguments, Path(folder))
                    keep_cell(arguments.keep, cells[key])
    found = {name: [cell for key, cell in cells.items() if key[0] == name] for name in sets}
    print(json.dumps({"benchmark": "partners", "partner": arguments.partner, "sets": _summary(partner, found)}))
    return 0


def _ways_of(partner: ModuleType, name: str) -> tuple[str, ...]:
    """The ways that a set is tried with: all, unless the partner's file says otherwise."""
    return tuple(partner.ways_of(name) if hasattr(partner, "ways_of") else partner.WAYS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partner", required=True, help="a file inputs/partner_NAME.py")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the public sets (default: %(default)s)")
    parser.add_argument("--sets", nargs="+", help="all otherwise")
    parser.add_argument("--ways", nargs="+", help="all otherwise")
    parser.add_argument("--settings", nargs="+", default=[], metavar="NAME=VALUE", help="of the strategy, beside the set's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a file of results, which is added to")
    parser.add_argument("--vectors", type=Path, help="folder where vectors of a set are kept, for other ways and runs")
    parser.add_argument("--workspace", type=Path, help="holds bundles and experiments; a temporary one otherwise")
    return parser.parse_args()


def _run(partner: ModuleType, workspace: Workspace, name: str, way: str, arguments: argparse.Namespace, folder: Path) -> Cell:
    """One experiment, its report and its model kept in the workspace."""
    strategy, engine, settings = partner.WAYS[way]
    kept = arguments.vectors / f"{name}-{engine}.parquet" if arguments.vectors else None
    started = time.perf_counter()
    request = ExperimentRequest(
        partner=partner.partner_of(name) if hasattr(partner, "partner_of") else partner.PARTNER,
        labels=str(partner.write_labels(arguments.data, name, folder)),
        strategy=strategy,
        engine=engine,
        vectors=str(kept) if kept is not None and kept.is_file() else None,
        allow_seen=partner.ALLOW_SEEN,
        settings=(*settings, *partner.settings_of(name, strategy), *arguments.settings),
        seed=arguments.seed,
        threads=arguments.threads,
        device="cpu",
        notes=tuple(partner.notes_of(name) if hasattr(partner, "notes_of") else ()),
    )
    plan = open_plan(workspace, request)
    outcome = run_experiment(plan)
    if kept is not None and plan.vectors is not None and request.vectors is None:
        write_vectors(plan.vectors, kept)
    manifest = write_experiment(workspace, outcome, render_experiment(outcome))
    say(f"{name}, {way}: {workspace.experiment(manifest.partner, manifest.id)}/report.html")
    spent = round(time.perf_counter() - started, 1)
    return {"set": name, "way": way, "seed": arguments.seed, "seconds": spent, **_figures_of(manifest)}


def _figures_of(manifest: ExperimentManifest) -> dict[str, Any]:
    lift = manifest.comparisons[0]
    return {
        "experiment": manifest.id,
        "metric": lift.metric,
        "value": lift.our_value,
        "baseline": lift.their_value,
        "lift": [lift.difference, lift.low, lift.high],
        "verdict": lift.verdict,
        "notes": list(manifest.notes),
        "compared": [[one.ours, one.theirs, one.difference, one.low, one.high, one.verdict] for one in manifest.comparisons],
        "parts": {one.ours: one.our_value for one in manifest.comparisons[1:]},
        "figures": {figure.name: figure.value for figure in manifest.figures},
        "groups": {f"{group.column} {group.value}": [group.rows, group.figure.value] for group in manifest.groups},
    }


def _summary(partner: ModuleType, found: dict[str, list[Cell]]) -> dict[str, Any]:
    return {name: _summarise(partner, {cell["way"]: cell for cell in cells}) for name, cells in found.items() if cells}


def _summarise(partner: ModuleType, ways: dict[str, Cell]) -> dict[str, Any]:
    """The keys that every partner has, of the way that the partner counts as its lift, and every way beside."""
    chosen = next((way for way in partner.LIFT if way in ways), next(iter(ways)))
    lift = ways[chosen]["lift"]
    values = {name: ways[name]["value"] if name in ways else None for name in ("student_int8", "teacher")}
    return {
        "metric": ways[chosen]["metric"],
        "baseline": ways[chosen]["baseline"],
        **values,
        "lift_of": chosen,
        "lift": lift[0],
        "lift_low": lift[1],
        "lift_high": lift[2],
        "verdict": ways[chosen]["verdict"],
        "notes": ways[chosen].get("notes", []),
        "ways": ways,
    }


if __name__ == "__main__":
    sys.exit(main())
