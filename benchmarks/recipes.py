"""Each named recipe on a pinned set, against the metrics that it had when it was last looked at.

    python benchmarks/recipes.py [--rows 800] [--steps 40]

The tiny preset, the sample catalogue of seed 0, one thread of a CPU. With the default flags a metric that is further from its
golden value than TOLERANCE ends the benchmark with 1: a change that should not alter numbers has altered them. Where it should,
put the new values into GOLDEN. The last line of stdout is one JSON object.
"""

import argparse
import json
import sys
import tempfile

from inputs.labelled import write_sets

from m5model.data.label_sets import open_label_set
from m5model.data.set_versions import find_label_set
from m5model.data.training_sets import open_training_set
from m5model.encoders.presets import TINY
from m5model.training.config import Machine
from m5model.training.recipes import Recipe, multitask, teacher
from m5model.training.stages import RUNNERS, RunContext, run_stages
from schemas.workspace import Workspace

TASKS = {"product_type": "types", "duplicates": "pairs", "contrast": "pairs"}
# Other kernels sum floats in another order, and some steps on little data make more of that.
TOLERANCE = 0.05
GOLDEN: dict[str, dict[str, float]] = {
    "teacher": {"mlm_held_out_loss": 6.3023},
    "multitask": {
        "mlm_held_out_loss": 6.3023,
        "product_type_accuracy": 0.1061,
        "duplicates_average_precision": 0.5061,
        "contrast_average_precision": 0.5061,
        "finetune_product_type_accuracy": 0.4394,
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=800, help="of the sample catalogue (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=40, help="of each stage; the last has half (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m5-recipes-") as folder:
        workspace = Workspace(folder)
        write_sets(workspace, arguments.rows)
        start = teacher(TINY, steps=arguments.steps)
        recipes = {"teacher": start, "multitask": multitask(start, TASKS, finetune="product_type", steps=arguments.steps)}
        metrics = {name: _metrics(workspace, recipe) for name, recipe in recipes.items()}
    is_default = (arguments.rows, arguments.steps) == (parser.get_default("rows"), parser.get_default("steps"))
    moved = _moved(metrics) if is_default else {}
    print(json.dumps({"metrics": metrics, "compared": is_default, "tolerance": TOLERANCE, "moved": moved}))
    return 1 if moved else 0


def _metrics(workspace: Workspace, recipe: Recipe) -> dict[str, float]:
    """Every task's metric after its stage."""
    context = RunContext(
        training_set=open_training_set(workspace.training_set("sample", "v0")),
        preset=recipe.preset,
        machine=Machine(device="cpu", threads=1),
        label_sets={name: open_label_set(find_label_set(workspace, name)) for name in recipe.label_sets},
    )
    return {one.name: round(one.after, 4) for one in run_stages(recipe.stages, context, RUNNERS).measured}


def _moved(metrics: dict[str, dict[str, float]]) -> dict[str, list[float | None]]:
    """Metrics that are not near their golden value: found, golden."""
    pairs = {
        f"{recipe}.{name}": (metrics[recipe].get(name), GOLDEN.get(recipe, {}).get(name))
        for recipe in metrics
        for name in {*metrics[recipe], *GOLDEN.get(recipe, {})}
    }
    return {
        name: [found, golden]
        for name, (found, golden) in sorted(pairs.items())
        if found is None or golden is None or abs(found - golden) > TOLERANCE * max(1.0, abs(golden))
    }


if __name__ == "__main__":
    sys.exit(main())
