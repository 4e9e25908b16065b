"""Queries by a small student against documents by the whole teacher: what comparing the two loses, and what it saves.

    python benchmarks/same_space.py [--init starter] [--rows 4000] [--layers 1] [--steps 300] [--threads 1]

A teacher is trained (or begins with the starter), exported as it is for documents, and a student of some of its layers is
distilled for queries in the same space, by `m5 distill --same-space-as`. Beside it stands the same student distilled without
that flag: with judgements, which let a space turn. Sample catalogue, its labelled pairs. The last line of stdout is one JSON
object: the gate's ``same_space_`` figures of both, times quicker than the documents' bundle, and whether vectors of the second
one are refused. Nothing is refused by a gate here: figures are what is looked at.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from inputs.labelled import write_sets

import m5model
from jobs import train_model
from m5model.distillation.latency import SHORT, measure_milliseconds
from m5model.distillation.request import Request, fulfil
from m5model.distillation.same_space import judge_texts
from m5model.distillation.thresholds import Agreement, Attributes, Pairs, SameSpaceLimits, StudentGate
from m5model.export.parity import ParityThresholds
from m5model.training.config import Machine
from schemas.bundle import BundleManifest
from schemas.errors import SpaceMismatchError
from schemas.locales import LANGUAGES
from schemas.workspace import Workspace

OPEN_GATE = StudentGate(
    agreement=Agreement(min_correlation=-1, language_slack=2),
    pairs=Pairs(
        max_average_precision_gap=1,
        max_roc_auc_gap=1,
        max_recall_gap=1,
        max_language_gap=1,
        max_language_roc_auc_gap=1,
        max_language_recall_gap=1,
    ),
    attributes=Attributes(max_f1_gap=1, max_language_gap=1),
    same_space=SameSpaceLimits(
        min_cosine=0,
        max_neighbours_lost=1,
        max_recall_gap=1,
        min_language_cosine=0,
        max_language_neighbours_lost=1,
        max_language_recall_gap=1,
    ),
    parity=ParityThresholds(int8_mean_cosine=-1, int8_min_cosine=-1, int8_pair_correlation=-1),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--init", help='e.g. "starter"; a tiny teacher otherwise')
    parser.add_argument("--rows", type=int, default=4_000, help="of the sample catalogue (default: %(default)s)")
    parser.add_argument("--layers", default="1", help="of the teacher, for queries (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="of imitation (default: %(default)s)")
    parser.add_argument("--teacher-steps", type=int, default=150, help="of a tiny teacher (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m5-same-space-") as name:
        print(json.dumps(_measure(Workspace(name), arguments)))
    return 0


def _measure(workspace: Workspace, arguments: argparse.Namespace) -> dict[str, Any]:
    write_sets(workspace, arguments.rows)
    _train(workspace, arguments)
    documents = _distil(workspace, arguments, layers=(), steps=0)
    layers = tuple(int(layer) for layer in arguments.layers.split(","))
    queries = _distil(workspace, arguments, layers=layers, steps=arguments.steps, same_space_as=documents.id, pairs="pairs")
    other = _distil(workspace, arguments, layers=layers, steps=arguments.steps)
    figures = {figure.name: figure.value for figure in queries.gate if figure.name.startswith("same_space_")}
    return {
        "benchmark": "same_space",
        "teacher": documents.parent,
        "documents": f"{documents.layers}x{documents.hidden_size}",
        "queries": f"{queries.layers}x{queries.hidden_size}",
        "steps": arguments.steps,
        **{name: figures[name] for name in sorted(figures) if not _is_of_a_language(name)},
        "by_language": {name: figures[name] for name in sorted(figures) if _is_of_a_language(name)},
        "with_judgements": _compare(workspace, documents, other),
        "ms_documents_to_queries_at_32": round(_ms(workspace, documents) / _ms(workspace, queries), 2),
        "other_is_refused": _is_refused(workspace, documents, other),
        "queries_are_refused": _is_refused(workspace, documents, queries),
    }


def _is_of_a_language(name: str) -> bool:
    return name.rpartition("_")[2] in LANGUAGES


def _train(workspace: Workspace, arguments: argparse.Namespace) -> None:
    start = ["--init", arguments.init, "--steps", "0", "--vocabulary-size", "16000"] if arguments.init else ["--preset", "tiny"]
    steps = [] if arguments.init else ["--steps", str(arguments.teacher_steps)]
    flags = ["--workspace", workspace.root, "--threads", str(arguments.threads), "--tracking-uri", "none"]
    if train_model.main([*flags, *start, *steps]):
        raise SystemExit("the teacher was not trained")


def _distil(workspace: Workspace, arguments: argparse.Namespace, **wishes: Any) -> BundleManifest:
    machine = Machine(threads=arguments.threads, without_guards=("overfit", "learning_rate", "shuffled_labels"))
    return fulfil(Request(workspace=workspace, start_from="teacher", gate=OPEN_GATE, machine=machine, **wishes))


def _compare(workspace: Workspace, documents: BundleManifest, other: BundleManifest) -> dict[str, float]:
    """The same figures of a student that was not made for the documents' space."""
    import numpy as np

    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set

    held_out = open_training_set(find_training_set(workspace, None)).held_out
    texts = held_out["text"][:]
    query_ND, document_ND = (m5model.load(workspace.bundle(one.id)).encode(texts) for one in (other, documents))
    verdicts = judge_texts(query_ND, document_ND, np.asarray([""] * len(texts)), SameSpaceLimits())
    return {one.figure.name: round(float(one.figure.value or 0), 4) for one in verdicts[:2]}


def _ms(workspace: Workspace, bundle: BundleManifest) -> float:
    return measure_milliseconds(Path(workspace.bundle(bundle.id)), SHORT, bundle.vocabulary_size)


def _is_refused(workspace: Workspace, documents: BundleManifest, queries: BundleManifest) -> bool:
    encoder = m5model.load(workspace.bundle(queries.id))
    try:
        encoder.require_comparable(documents.space_id)
    except SpaceMismatchError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
