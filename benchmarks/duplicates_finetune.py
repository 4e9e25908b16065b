"""What does fine-tuning on pairs teach? Each set's train split in, its test split judged, three seeds, beside TF-IDF.

    python benchmarks/duplicates_finetune.py [--init starter] [--sets abt_buy wdc_products] [--ways bi-encoder] [--seeds 3] \\
        [--keep FILE]

bi-encoder: contrast over products with given and mined hard negatives; a pair's score is the cosine. cross-encoder: one text of
both, begun with the bi-encoder's weights. Both go through the recipes' own stages. The threshold of F1 is the best one of the
validation split. Real sets keep their own splits (WDC Products: a quarter of its products is never learned from; its published
test split is not at hand), ``sample`` is the generated catalogue, judged per locale. ``--keep`` names a file of JSON lines:
what it holds is not run again. The last line of stdout is one JSON object.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from inputs.kept_cells import Cell, keep_cell, read_cells
from inputs.pair_scores import Scored, figures_of, lift
from inputs.pair_sets import NAMES, PairSet, write_pair_set
from inputs.pairs import DATA
from inputs.published import PUBLISHED_F1

from m5model.data.label_sets import LabelSet, open_label_set
from m5model.data.set_versions import find_label_set
from m5model.data.training_sets import open_training_set
from m5model.encoders.huggingface import read_geometry
from m5model.encoders.presets import lower_weights
from m5model.encoders.sources import find_source
from m5model.sample_catalogue.rivals import TfIdf
from m5model.tasks import TaskData, contrast, duplicates
from m5model.training.config import GUARDS, Machine, TrainingConfig
from m5model.training.progress import say
from m5model.training.shares import TaskShare
from m5model.training.stages import LearnTasks, Model, RunContext
from m5model.training.starting import Source, TakeWeights, TrimVocabulary, starting_runners
from m5model.training.task_setup import build_task
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace

WAYS = ("untrained", "bi-encoder", "cross-encoder")
CROSS_SETS = ("abt_buy", "wdc_computers")
VOCABULARY = 32_000
# The embedding and this share of the layers keep their weights: a third of the time is saved.
FROZEN_SHARE = 0.5
CONTRAST = contrast.Settings(batch_rows=24, negatives="both", hard_negatives=1, mined_from=8)
# Guards have their own tests; here they would cost a minute a run, and pairs of a public test split share products by design.
MACHINE = Machine(device="cpu", without_guards=GUARDS)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """States how long a set is learned from."""

    steps: int  # of contrast, 72 texts each
    pair_steps: int  # of the cross-encoder, PAIR_TOKENS each
    tokens: int  # of a text; the rest is not read


BUDGETS = {
    "abt_buy": Budget(steps=160, pair_steps=600, tokens=64),
    "amazon_google": Budget(steps=200, pair_steps=600, tokens=32),
    "wdc_computers": Budget(steps=200, pair_steps=600, tokens=48),
    "wdc_products": Budget(steps=200, pair_steps=600, tokens=64),
    "sample": Budget(steps=60, pair_steps=100, tokens=64),
}
CONTRAST_RATE, PAIR_RATE, PAIR_TOKENS = 1e-4, 5e-5, 2_048


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A pair set, opened, and all that a run on it needs."""

    name: str
    source: Source
    budget: Budget
    labels: LabelSet
    context: RunContext
    groups: list[str]  # of the test pairs, in the order of the label set's rows
    entity: np.ndarray  # (n,) of the test pairs
    rival: Scored  # TF-IDF's cosines of the test pairs


def main() -> int:
    arguments = _arguments()
    cells = {(cell["init"], cell["set"], cell["way"], cell["seed"]): cell for cell in read_cells(arguments.keep)}
    source = Source.of(find_source(arguments.init), arguments.init)
    for name in arguments.sets:
        ways = [way for way in arguments.ways if way != "cross-encoder" or name in CROSS_SETS]
        for seed in range(arguments.seeds):
            wanted = [way for way in ways if seed == 0 or way == "bi-encoder"]
            missing = [way for way in wanted if (arguments.init, name, way, seed) not in cells]
            with tempfile.TemporaryDirectory(prefix="m5-finetune-") as folder:
                for cell in _cells(arguments, source, name, missing, seed, Path(folder)) if missing else ():
                    cells[arguments.init, name, cell["way"], seed] = cell
                    keep_cell(arguments.keep, cell)
    ours = [cell for key, cell in cells.items() if key[0] == arguments.init and key[1] in arguments.sets]
    print(json.dumps({"benchmark": "duplicates_finetune", "init": arguments.init, "sets": _summary(ours)}))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with pairs/ (default: %(default)s)")
    parser.add_argument("--init", default="starter", help="a checkpoint folder, or a name (default: %(default)s)")
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, default=3, help="of the bi-encoder; all else has one (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of torch, 0 for as many as cores (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="a file of results, which is added to")
    return parser.parse_args()


def _cells(
    arguments: argparse.Namespace, source: Source, name: str, ways: Sequence[str], seed: int, folder: Path
) -> Iterator[Cell]:
    """Trains as far as the last of ``ways`` needs, and judges the model at each of them."""
    bench = _open(source, write_pair_set(arguments.data, name, Workspace(str(folder))), arguments.threads)
    if "untrained" in ways:
        rival = {"seconds": 0.0, "cpu_seconds": 0.0, **_judge(bench, _tfidf(bench.labels, "validate"), bench.rival)}
        yield {"init": arguments.init, "set": name, "way": "TF-IDF", "seed": 0, **rival}
    runners, model = starting_runners(source), Model()
    last = max(WAYS.index(way) for way in ways)
    started, busy = time.perf_counter(), time.process_time()
    for way, stages in zip(WAYS[: last + 1], _stages(bench, seed), strict=False):
        for stage in stages:
            model = runners[type(stage)](stage, model, bench.context)
        spent = {"seconds": round(time.perf_counter() - started, 1), "cpu_seconds": round(time.process_time() - busy, 1)}
        if way in ways:
            form = "cross" if way == "cross-encoder" else "cosine"
            figures = _judge(bench, *(_score(bench, model, form, split) for split in ("validate", "test")))
            yield {"init": arguments.init, "set": name, "way": way, "seed": seed, **spent, **figures}


def _open(source: Source, pairs: PairSet, threads: int) -> Bench:
    labels = open_label_set(find_label_set(pairs.workspace, "pairs"), source.rendering)
    training_set = open_training_set(pairs.workspace.training_set("sample", "v0"), source.rendering)
    budget = BUDGETS[pairs.name]
    geometry = replace(read_geometry(source.folder, (), VOCABULARY), max_tokens=2 * budget.tokens)
    machine = replace(MACHINE, threads=threads)
    context = RunContext(training_set=training_set, preset=geometry, machine=machine, label_sets={"pairs": labels})
    test = labels.splits["test"]
    prefix = source.rendering.prefix
    texts = zip(test["left_text"], test["right_text"], strict=True)
    groups = [pairs.groups[left.removeprefix(prefix), right.removeprefix(prefix)] for left, right in texts]
    return Bench(
        name=pairs.name,
        source=source,
        budget=budget,
        labels=labels,
        context=context,
        groups=groups,
        entity=np.asarray(test["left_entity"]),
        rival=_tfidf(labels, "test"),
    )


def _stages(bench: Bench, seed: int) -> list[list[Any]]:
    """The stages that come before each of WAYS is judged."""
    preset = bench.context.preset
    frozen = lower_weights(preset, preset.layers - int(preset.layers * FROZEN_SHARE))
    begin = [TakeWeights(origin=bench.source.origin), TrimVocabulary(size=VOCABULARY)]
    settings = replace(CONTRAST, max_tokens=bench.budget.tokens)
    near = LearnTasks(
        stage="contrast",
        tasks=(TaskShare(task="contrast", settings=settings, labels="pairs"),),
        training=TrainingConfig(steps=bench.budget.steps, learning_rate=CONTRAST_RATE, seed=seed),
        frozen=frozen,
    )
    pairs = LearnTasks(
        stage="pairs",
        tasks=(_pairs("cross"),),
        training=TrainingConfig(steps=bench.budget.pair_steps, learning_rate=PAIR_RATE, seed=seed),
        frozen=("embeddings.",),
    )
    return [begin, [near], [pairs]]


def _pairs(form: str) -> TaskShare:
    settings = duplicates.Settings(form=form, token_budget=PAIR_TOKENS)  # type: ignore[arg-type]
    return TaskShare(task="duplicates", settings=settings, labels="pairs")


def _score(bench: Bench, model: Model, form: str, split: str) -> Scored:
    """Scores of the pairs of a split by the model as it is, in eval mode."""
    if model.encoder is None or model.learn is None or model.held_out is None:
        raise ConfigurationError(f"{bench.name}: there is no model to judge", next_step="put a stage that takes weights first")
    data = TaskData(
        learn=model.learn,
        held_out=model.held_out,
        seed=0,
        tokenizer=model.tokenizer,
        max_tokens=bench.budget.tokens * (2 if form == "cross" else 1),
        rendering=bench.source.rendering,
    )
    heads = model.heads if form == "cross" else {}
    encoder = model.encoder.eval()
    task = build_task(_pairs(form), encoder, data, bench.context.label_sets, {}, heads)
    return Scored(scores=task.scores(encoder, split), is_match=_labels(bench.labels, split))  # type: ignore[attr-defined]


def _labels(labels: LabelSet, split: str) -> np.ndarray:
    return np.asarray(labels.splits[split]["is_match"], bool)


def _tfidf(labels: LabelSet, split: str) -> Scored:
    """Cosines of TF-IDF over words, whose weights are those of the split's own texts."""
    rows = labels.splits[split]
    prefix = labels.rendering.prefix
    texts = [text.removeprefix(prefix) for text in (*rows["left_text"], *rows["right_text"])]
    left = np.arange(len(rows))
    return Scored(scores=TfIdf.of(texts, "words").cosines(left, left + len(rows)), is_match=_labels(labels, split))


def _judge(bench: Bench, validated: Scored, tested: Scored) -> dict[str, Any]:
    figures = figures_of(validated, tested, bench.groups)
    figures["lift_of_tfidf"] = lift(tested, bench.rival, bench.entity)
    say(f"{bench.name}: {figures}")
    return figures


def _summary(cells: Sequence[Cell]) -> dict[str, Any]:
    """By set and way: each figure's mean, and its least and largest over the seeds; groups of the first seed."""
    summary: dict[str, Any] = {}
    for cell in cells:
        summary.setdefault(cell["set"], {}).setdefault(cell["way"], []).append(cell)
    for name, ways in summary.items():
        summary[name] = {way: _spread(runs) for way, runs in ways.items()} | {"published_f1": PUBLISHED_F1.get(name, {})}
    return summary


def _spread(runs: Sequence[Cell]) -> dict[str, Any]:
    figures = {}
    for key in ("average_precision", "roc_auc", "f1", "seconds", "cpu_seconds"):
        values = [run[key] for run in runs]
        figures[key] = [round(float(np.mean(values)), 4), min(values), max(values)]
    return {"seeds": len(runs), **figures, "lift_of_tfidf": runs[0]["lift_of_tfidf"], "groups": runs[0]["groups"]}


if __name__ == "__main__":
    sys.exit(main())
