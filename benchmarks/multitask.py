"""Do tasks help each other? Six tasks on real data: each alone, all mixed with each scaling of losses, and pre-fine-tuned.

    python benchmarks/multitask.py [--steps 40] [--seeds 3] [--tasks product_type brand] [--keep FILE]

Every task has --steps steps alone and as many in the mixtures; pre-fine-tuned: the mixture scaled by 1 / log(labels), then half
as many steps of the one task. The encoder is six layers of the starter, the upper three of which are trained. What is measured
is a split by entity that nothing is learned from, chosen by or stopped at. Each cell is a mean with a 95% t interval over
seeds; the verdict is that of the paired difference to the task alone. ``--keep`` names a file of JSON lines: what it holds is
not run again. The last line of stdout is one JSON object; a table goes to stderr.
"""

import argparse
import copy
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from inputs.kept_cells import Cell, keep_cell, read_cells
from inputs.pairs import DATA
from inputs.task_sets import SETS, write_task_sets
from scipy import stats

import m5model.tasks
from m5model.data.label_sets import open_label_set
from m5model.data.set_versions import find_label_set
from m5model.data.training_sets import open_training_set
from m5model.encoders.huggingface import read_geometry
from m5model.encoders.presets import lower_weights
from m5model.encoders.sources import find_source
from m5model.training.config import GUARDS, Machine, TrainingConfig
from m5model.training.shares import Mixing, Scaling, TaskShare
from m5model.training.stages import LearnTasks, Model, RunContext, learn_tasks, run_stages
from m5model.training.starting import Source, TakeWeights, TrimVocabulary, starting_runners
from schemas.registry import load_member
from schemas.workspace import Workspace

LAYERS = (0, 2, 4, 6, 8, 11)
TRAINED_LAYERS = 3
VOCABULARY, MAX_TOKENS = 32_000, 64
LEARNING_RATE = 1e-4
# Guards have their own tests; they would take longer than some of these trainings.
MACHINE = Machine(device="cpu", without_guards=GUARDS)
ALONE, MIXED, LOG_MIXED, PREFINETUNED = "alone", "mixed", "mixed, 1/log(labels)", "pre-fine-tuned"
RECIPES = (ALONE, MIXED, LOG_MIXED, PREFINETUNED)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Holds what all runs share."""

    source: Source
    context: RunContext
    shares: Mapping[str, TaskShare]
    steps: int

    def begin(self) -> Model:
        """The starter, cut to LAYERS and to the pieces of its vocabulary that the texts use."""
        stages = (TakeWeights(origin=self.source.origin, layers=LAYERS), TrimVocabulary(size=VOCABULARY))
        return run_stages(stages, self.context, starting_runners(self.source))

    def learn(self, stage: LearnTasks, model: Model) -> Model:
        """Returns what the stage makes of the model, which stays as it is."""
        return learn_tasks(stage, replace(model, encoder=copy.deepcopy(model.encoder)), self.context)

    def stage(self, name: str, tasks: Sequence[str], seed: int, steps: int, scaling: Scaling = "fixed") -> LearnTasks:
        return LearnTasks(
            stage=name,
            tasks=tuple(self.shares[task] for task in tasks),
            training=TrainingConfig.for_new_heads(steps=steps, learning_rate=LEARNING_RATE, seed=seed),
            mixing=Mixing(scaling=scaling),
            frozen=lower_weights(self.context.preset, TRAINED_LAYERS),
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real data (default: %(default)s)")
    parser.add_argument("--init", default="starter", help="a checkpoint folder, or a name (default: %(default)s)")
    parser.add_argument("--tasks", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--steps", type=int, default=40, help="of each task (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of torch, 0 for as many as cores (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="a file of results, which is added to")
    arguments = parser.parse_args()
    cells = read_cells(arguments.keep)
    with tempfile.TemporaryDirectory(prefix="m5-multitask-") as folder:
        workspace = Workspace(folder)
        write_task_sets(arguments.data, workspace)
        bench = _open(arguments, workspace)
        for cell in _runs(bench, arguments.tasks, arguments.seeds, cells):
            cells.append(cell)
            keep_cell(arguments.keep, cell)
    table = {task: _row([cell for cell in cells if cell["task"] == task]) for task in arguments.tasks}
    _print_table(table)
    print(json.dumps({"benchmark": "multitask", "steps": arguments.steps, "seeds": arguments.seeds, "table": table}))
    return 0


def _open(arguments: argparse.Namespace, workspace: Workspace) -> Bench:
    source = Source.of(find_source(arguments.init), arguments.init)
    geometry = replace(read_geometry(source.folder, LAYERS, VOCABULARY), max_tokens=MAX_TOKENS)
    names = {task: SETS[task][0] for task in arguments.tasks}
    labels = {name: open_label_set(find_label_set(workspace, name), source.rendering) for name in names.values()}
    context = RunContext(
        training_set=open_training_set(workspace.training_set("sample", "v0"), source.rendering),
        preset=geometry,
        machine=replace(MACHINE, threads=arguments.threads),
        label_sets=labels,
    )
    shares = {
        task: TaskShare(task=task, settings=load_member(m5model.tasks, task, "task").Settings(), labels=name)
        for task, name in names.items()
    }
    return Bench(source=source, context=context, shares=shares, steps=arguments.steps)


def _runs(bench: Bench, tasks: Sequence[str], seeds: int, done: Sequence[Cell]) -> Iterator[Cell]:
    """Seed by seed, so that a run that is broken off leaves whole columns."""
    there = {(cell["recipe"], cell["task"], cell["seed"]) for cell in done}
    begun = bench.begin()
    for seed in range(seeds):
        missing = {recipe: [task for task in tasks if (recipe, task, seed) not in there] for recipe in RECIPES}
        for task in missing[ALONE]:
            yield from _cells(ALONE, (task,), seed, bench, bench.stage("alone", (task,), seed, bench.steps), begun)[0]
        if missing[MIXED]:
            mixed = bench.stage("mixed", tasks, seed, bench.steps * len(tasks))
            yield from _cells(MIXED, tasks, seed, bench, mixed, begun)[0]
        if missing[LOG_MIXED] or missing[PREFINETUNED]:
            scaled = bench.stage("mixed", tasks, seed, bench.steps * len(tasks), "log_labels")
            cells, model = _cells(LOG_MIXED, tasks, seed, bench, scaled, begun)
            yield from (cell for cell in cells if cell["task"] in missing[LOG_MIXED])
            for task in missing[PREFINETUNED]:
                last = bench.stage("finetune", (task,), seed, max(1, bench.steps // 2))
                yield from _cells(PREFINETUNED, (task,), seed, bench, last, model)[0]


def _cells(
    recipe: str, tasks: Sequence[str], seed: int, bench: Bench, stage: LearnTasks, begun: Model
) -> tuple[list[Cell], Model]:
    """Returns what the stage made of each of the tasks, and the model that it left. ``seconds`` are those of the stage."""
    started = time.perf_counter()
    model = bench.learn(stage, begun)
    seconds = round(time.perf_counter() - started, 1)
    cells = []
    for task in tasks:
        measured = [one for one in model.measured if task in one.name]
        cells.append(
            {
                "recipe": recipe,
                "task": task,
                "seed": seed,
                "steps": bench.steps,
                "metric": measured[0].name,
                "before": round(measured[0].before, 4),
                "after": round(measured[-1].after, 4),
                "seconds": seconds,
            }
        )
    return cells, model


def _row(cells: Sequence[Cell]) -> dict[str, Any]:
    """Recipe → mean, half of its interval, and the verdict beside the task alone."""
    by_recipe = {recipe: {cell["seed"]: cell["after"] for cell in cells if cell["recipe"] == recipe} for recipe in RECIPES}
    row: dict[str, Any] = {"metric": cells[0]["metric"], "before": cells[0]["before"]} if cells else {}
    for recipe, values in by_recipe.items():
        if values:
            gaps = [value - by_recipe[ALONE][seed] for seed, value in values.items() if seed in by_recipe[ALONE]]
            row[recipe] = {**_interval(list(values.values())), "verdict": "" if recipe == ALONE else _verdict(gaps)}
    return row


def _interval(values: Sequence[float]) -> dict[str, float | None]:
    half = _half_width(values)
    width = round(half, 4) if np.isfinite(half) else None  # one seed says nothing of the others
    return {"mean": round(float(np.mean(values)), 4), "half_width_95": width, "seeds": len(values)}


def _half_width(values: Sequence[float]) -> float:
    if len(values) < 2:
        return float("inf")
    return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)


def _verdict(gaps: Sequence[float]) -> str:
    mean, half = float(np.mean(gaps)), _half_width(gaps)
    return "better" if mean - half > 0 else "worse" if mean + half < 0 else "not shown"


def _print_table(table: Mapping[str, Mapping[str, Any]]) -> None:
    print(f"{'':<22}{'untrained':>10}" + "".join(f"{recipe:>34}" for recipe in RECIPES), file=sys.stderr)
    for task, row in table.items():
        texts = [_text(row[recipe]) if recipe in row else "" for recipe in RECIPES]
        print(f"{task:<22}{row.get('before', 0):>10.3f}" + "".join(f"{text:>34}" for text in texts), file=sys.stderr)


def _text(cell: Mapping[str, Any]) -> str:
    width = "" if cell["half_width_95"] is None else f" ± {cell['half_width_95']:.3f}"
    return f"{cell['mean']:.3f}{width} {cell['verdict']}"


if __name__ == "__main__":
    sys.exit(main())
