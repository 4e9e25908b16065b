"""What is lost on the way from a teacher to a student of fewer layers, and to its int8 graph? Nothing here is tuned on.

    python benchmarks/distillation_quality.py [--students 8x384 6x384] [--steps 120] [--ways layers imitation] [--keep FILE]

The teacher is the starter with its vocabulary cut to 32,000 tokens; a student takes some of its layers and is distilled by
`m5 distill`'s own recipe on product texts in ten languages, none of which is of the sets judged. ``--ways`` chooses parts of
the recipe (``layers``, ``layers+imitation``, …): what each earns. Judged are average precision and ROC-AUC of the cosine on
five sets of product pairs, recall at 10 of a category's name among those of another language, and product types by the ten
nearest titles; for the teacher in fp32, the student in fp32 (torch) and its int8 graph in the engine. Gaps are the teacher's
figure minus the student's on the same rows, in points, with 95% intervals over entities. ``--keep`` names a file of JSON
lines: what it holds is not run again. The last line of stdout is one JSON object.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from inputs.kept_cells import Cell, keep_cell, read_cells
from inputs.labelled import write_training_set
from inputs.pairs import DATA, SETS, read_pairs
from inputs.product_texts import product_listings

from m5model.bundles.find import open_bundle
from m5model.data.set_versions import find_training_set
from m5model.data.token_rows import tokenize_rows
from m5model.data.training_sets import open_training_set
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation.candidates import read_candidates
from m5model.distillation.layer_choice import CHOICE_TOKENS, Opened, choose_layers
from m5model.distillation.parts import PARTS
from m5model.distillation.request import Request, fulfil
from m5model.distillation.thresholds import Agreement, StudentGate
from m5model.encoders.huggingface import read_geometry
from m5model.encoders.kinds import load_encoder
from m5model.encoders.sources import find_source
from m5model.export.teacher import train_teacher
from m5model.gates.intervals import bootstrap
from m5model.gates.metrics import average_precision, recall_at, roc_auc
from m5model.partners.torch_vectors import encode_texts
from m5model.runtime.encoder import Encoder, read_model
from m5model.training.config import GUARDS, Machine
from m5model.training.progress import say
from m5model.training.recipes import from_weights
from m5model.training.starting import Source
from schemas.space import sha256_hex
from schemas.workspace import Workspace

VOCABULARY, MAX_TOKENS = 32_000, 128
ACROSS = ("de", "fr", "it", "es", "pt", "nl", "ja", "tr")  # of the taxonomy, to English
NEIGHBOURS, CATEGORIES, TYPED_TITLES = 10, 1_500, 4_000
# A benchmark states what a gate would refuse.
GATE = StudentGate(agreement=Agreement(min_correlation=-1.0, max_language_ratio=1e6))

Vectors = Callable[[Sequence[str]], np.ndarray]


def main() -> int:
    arguments = _arguments()
    kept = {(cell["student"], cell["way"], cell["steps"], cell["seed"]): cell for cell in read_cells(arguments.keep)}
    runs = itertools.product(arguments.students, arguments.ways, arguments.seeds)
    wanted = [(student, way, arguments.steps, seed) for student, way, seed in runs]
    if any(key not in kept for key in wanted):
        with tempfile.TemporaryDirectory(prefix="m5-quality-") as folder:
            bench = Bench(arguments, Workspace(str(arguments.work or folder)))
            for key in wanted:
                if key not in kept:
                    kept[key] = bench.cell(*key)
                    keep_cell(arguments.keep, kept[key])
    print(json.dumps({"benchmark": "distillation_quality", "cells": [kept[key] for key in wanted]}))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real data (default: %(default)s)")
    parser.add_argument("--students", nargs="+", default=["8x384", "6x384"], help="layers x width (default: %(default)s)")
    parser.add_argument("--ways", nargs="+", default=["layers"], help="parts, joined by + (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=120, help="of all parts together (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="(default: %(default)s)")
    parser.add_argument("--texts", type=int, default=30_000, help="of the training set (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of torch, 0 for as many as cores (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="a workspace to keep; else a temporary one")
    parser.add_argument("--keep", type=Path, help="a file of results, which is added to")
    return parser.parse_args()


class Bench:
    """A workspace with the training set and the teacher, and the teacher's figures."""

    def __init__(self, arguments: argparse.Namespace, workspace: Workspace) -> None:
        self.arguments, self.workspace = arguments, workspace
        self.machine = Machine(device="cpu", threads=arguments.threads, without_guards=GUARDS)
        if not Path(workspace.training_set("sample", "v0")).exists():
            write_training_set(workspace, product_listings(arguments.data, arguments.texts))
        source = Source.of(find_source("starter"), "starter")
        self.training_set = open_training_set(find_training_set(workspace, None), source.rendering)
        recipe = from_weights(read_geometry(source.folder), source.origin, vocabulary_size=VOCABULARY)
        self.teacher = train_teacher(workspace, self.training_set, recipe, self.machine, source)
        self.prefix = source.rendering.prefix
        self.of_teacher = self._judge(self._torch(workspace.bundle(self.teacher.id)))

    def cell(self, student: str, way: str, steps: int, seed: int) -> Cell:
        """Distils a student by some parts of the recipe, and judges both its forms."""
        started = time.perf_counter()
        layers = self._layers(read_candidates(student, self.teacher)[student])
        request = Request(
            workspace=self.workspace,
            teachers=(self.teacher.id,),
            start_from="teacher",
            layers=layers,
            steps=steps,
            without=tuple(part for part in PARTS if part not in way.split("+")),
            seed=seed,
            gate=GATE,
            machine=self.machine,
        )
        manifest = fulfil(request)
        path = self.workspace.bundle(manifest.id)
        cell: Cell = {"student": student, "layers": list(layers), "way": way, "steps": steps, "seed": seed}
        cell["seconds"] = round(time.perf_counter() - started)
        cell["int8_mb"] = round(manifest.files["onnx/model_int8.onnx"]["bytes"] / 1e6, 1)
        for form, vectors in (("fp32", self._torch(path)), ("int8", self._engine(path))):
            cell[form] = self._beside(self._judge(vectors))
        cell["teacher"] = {name: round(100 * _value(*judged), 2) for name, judged in self.of_teacher.items()}
        say(json.dumps(cell))
        return cell

    def _layers(self, count: int) -> tuple[int, ...]:
        """Returns those that are missed least, as `m5 distill --candidates` chooses them."""

        def open_teacher() -> Opened:
            folder, _ = open_bundle(self.workspace.bundle(self.teacher.id))
            texts = self.training_set.held_out
            return Opened(encoder=load_encoder(folder), rows=tokenize_rows(texts, load_vocabulary(folder), CHOICE_TOKENS))

        return choose_layers(open_teacher, self.teacher.layers, {count}, f"{self.workspace.checkpoints}/layers.json")[count]

    def _beside(self, judged: Mapping[str, Any]) -> dict[str, Any]:
        """Each figure in points, and the teacher's minus it with its interval; the means over the sets of pairs."""
        figures: dict[str, Any] = {}
        for name, ours in judged.items():
            theirs = self.of_teacher[name]
            gap = bootstrap(lambda rows, ours=ours, theirs=theirs: _value(*theirs, rows) - _value(*ours, rows), ours[2])
            points = [round(100 * number, 2) for number in (_value(*ours), gap.value, gap.low, gap.high)]
            figures[name] = dict(zip(("value", "gap", "low", "high"), points, strict=True))
        for metric in ("average_precision", "roc_auc"):
            gaps = [figures[name]["gap"] for name in figures if name.endswith(metric)]
            figures[f"mean_gap_{metric}"] = round(float(np.mean(gaps)), 2)
        return figures

    def _judge(self, vectors: Vectors) -> dict[str, Any]:
        data = self.arguments.data
        return {**_pairs(data, vectors), **_names(data, vectors), **_types(data, vectors)}

    def _torch(self, path: str) -> Vectors:
        folder, _ = open_bundle(path)
        encoder, tokenizer = load_encoder(folder), load_vocabulary(folder)
        return lambda texts: encode_texts(encoder, tokenizer, [self.prefix + text for text in texts], MAX_TOKENS)

    def _engine(self, path: str) -> Vectors:
        folder, manifest = open_bundle(path)
        engine = Encoder(read_model(folder, manifest, "int8"), threads=max(1, self.arguments.threads or 2))
        return lambda texts: engine.encode_texts([self.prefix + text for text in texts]).vectors_BD


def _value(metric: Callable[..., float], scores: np.ndarray, _entity: np.ndarray, rows: Any = slice(None)) -> float:
    return metric(scores[rows])


def _pairs(data: Path, vectors: Vectors) -> dict[str, Any]:
    """Both metrics of the cosine of every set's test pairs; an entity is the text on the left."""
    figures: dict[str, Any] = {}
    for name in SETS:
        rows = read_pairs(data, name, "test")
        texts = {text: place for place, text in enumerate(dict.fromkeys([*rows.left, *rows.right]))}
        vectors_ND = vectors(list(texts))
        left, right = ([texts[text] for text in side] for side in (rows.left, rows.right))
        cosines = (vectors_ND[left] * vectors_ND[right]).sum(axis=1)
        scored = np.rec.fromarrays([cosines, rows.is_match], names="score,is_match")
        for metric in (average_precision, roc_auc):
            figures[f"{name} {metric.__name__}"] = (partial(_of_scored, metric), scored, np.asarray(left))
    return figures


def _of_scored(metric: Callable[[np.ndarray, np.ndarray], float], rows: Any) -> float:
    return metric(rows.score, rows.is_match)


def _names(data: Path, vectors: Vectors) -> dict[str, Any]:
    """Recall at 10 of the English name of a category, by its name in another language; an entity is a category."""
    table = pq.read_table(data / "taxonomy" / "google_product_taxonomy.parquet").to_pylist()
    named_rows = [row for row in table if row["name_en"]]
    rows = sorted(named_rows, key=lambda row: sha256_hex(str(row["id"]).encode()))[:CATEGORIES]
    english = vectors([row["name_en"] for row in rows])
    figures = {}
    for language in ACROSS:
        named = [place for place, row in enumerate(rows) if row[f"name_{language}"]]
        hits = recall_at(NEIGHBOURS, vectors([rows[place][f"name_{language}"] for place in named]), english, np.asarray(named))
        figures[f"{language} recall_at_10"] = (_mean, hits, np.asarray(named))
    return figures


def _types(data: Path, vectors: Vectors) -> dict[str, Any]:
    """Are the product types of the ten nearest titles mostly that of a title? Half of the titles, by hash, are asked about."""
    rows = pq.read_table(data / "catalogue" / "us_openfoodfacts_category.parquet", columns=["title", "category"]).to_pylist()
    by_title = {row["title"]: row["category"] for row in rows if row["title"]}
    typed = sorted(by_title.items(), key=lambda one: sha256_hex(one[0].encode()))
    titles, types = zip(*typed[:TYPED_TITLES], strict=True)
    kinds, vectors_ND = np.unique(types, return_inverse=True)[1], vectors(titles)
    half = len(titles) // 2
    nearest = np.argsort(-(vectors_ND[:half] @ vectors_ND[half:].T), axis=1)[:, :NEIGHBOURS]
    votes = kinds[half:][nearest]
    guesses = np.asarray([np.bincount(own).argmax() for own in votes])
    return {"product_type accuracy": (_mean, (guesses == kinds[:half]).astype(float), np.arange(half))}


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


if __name__ == "__main__":
    sys.exit(main())
