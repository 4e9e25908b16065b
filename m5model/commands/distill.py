"""m5 distill --teacher BUNDLE --train SET: a student with its evidence, or a refusal that says why.

jobs/distill_student.py is the same with a report and experiment tracking.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from schemas.flags import MAX_THREADS, number, whole_number, whole_numbers
from schemas.workspace import Workspace

if TYPE_CHECKING:
    from m5model.distillation.notes import Notes
    from m5model.distillation.request import Request
    from m5model.distillation.thresholds import StudentGate
    from schemas.bundle import BundleManifest

SUMMARY = "distil teachers into a student: int8 graphs that passed a gate, with the figures"
DESCRIPTION = """\
Teachers become a student: it imitates their vectors (before that, how their tokens relate, where asked), then their judgements
on pairs, then a cross-encoder's, then learns from labelled pairs, where there are any. The int8 graphs are examined on texts,
pairs and attributes that it never saw, per language. What passes the gate becomes a bundle; what does not is refused with a
table, the worst texts, and the nearest gate that it would pass. A page in the workspace's reports shows either. Killed and
started again with the same flags, it goes on where it was."""
EXAMPLES = """\
examples:
  the newest teacher as it is, as int8:    m5 distill --start-from teacher --steps 0
  six of its layers, taught by it:         m5 distill --start-from teacher --candidates 6x384 --steps 400
  the same with labelled pairs:            … --pairs duplicates
  a new encoder of a preset's size:        m5 distill --preset tiny --steps 300
  a smaller one, for queries only:         m5 distill --start-from teacher --layers 5,11 --same-space-as STUDENT-ID

a gate file names the thresholds that it changes:
  [agreement]                       # of similarities with the teachers', held-out texts
  min_correlation = 0.9             # 0.8 otherwise
  max_language_ratio = 2            # what a language lacks, by what all lack on average
  [pairs]                           # teacher minus student, on --pairs, split test
  max_average_precision_gap = 0.01
  max_roc_auc_gap = 0.008
  max_recall_gap = 0.02
  max_language_gap = 0.05           # of a language's average precision
  max_language_roc_auc_gap = 0.03
  max_language_recall_gap = 0.08
  [attributes]                      # teacher minus student, on --attributes, split test
  max_f1_gap = 0.02
  max_language_gap = 0.05
  [same_space]                      # queries by the student, documents by --same-space-as
  min_cosine = 0.9                  # of both vectors of a text, mean
  max_neighbours_lost = 0.3         # of ten
  max_recall_gap = 0.03             # at 10, on --pairs
  [batches]
  max_vectors_differing = 0         # texts whose bytes change with what shares their call
  [parity]                          # int8 against fp32
  int8_mean_cosine = 0.99
  [cost]                            # nothing is refused otherwise
  max_int8_mb = 30
  max_ms_at_32_tokens = 5
  min_times_quicker_at_512_tokens = 40        # than the teachers, in the same run
  [pairs.languages.ja]              # of one language alone; also [agreement.…], [attributes.…], [cost.…]
  max_language_gap = 0.1
"""
MAX_LAYERS = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--workspace", help="where sets and bundles lie (default: $M5_WORKSPACE, else ./workspace)")
    add_distillation_flags(parser)


def add_distillation_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that the command and the job share."""
    _add_sources(parser)
    _add_size(parser)
    _add_parts(parser)
    _add_gate(parser)
    _add_machine(parser)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    """Flags that say what a student learns from, and what it is judged on."""
    parser.add_argument(
        "--teacher", action="append", metavar="ID-OR-PATH", help="teacher bundle, also several times; the newest otherwise"
    )
    parser.add_argument(
        "--train",
        "--training-set",
        dest="training_set",
        metavar="NAME[/VERSION]",
        help="texts to learn from; the newest set otherwise",
    )
    parser.add_argument("--pairs", metavar="LABEL-SET", help="labelled pairs: learn from its split learn, be judged on test")
    parser.add_argument(
        "--attributes", metavar="LABEL-SET", help="labelled attributes: be judged on test, by the values that near texts have"
    )
    parser.add_argument(
        "--same-space-as",
        metavar="ID-OR-PATH",
        help="a student for queries alone, compared with documents by this bundle, which had the same teacher; it imitates "
        "only, and its gate measures what comparing loses",
    )


def _add_size(parser: argparse.ArgumentParser) -> None:
    """Flags that say what a student begins as."""
    from m5model.encoders.presets import PRESETS, STUDENT_70M

    parser.add_argument(
        "--start-from",
        metavar="ID-OR-PATH",
        help='"teacher" for the (first) teacher itself, or a bundle; a new encoder with its own pre-training otherwise',
    )
    parser.add_argument(
        "--layers",
        type=whole_numbers(0, MAX_LAYERS),
        default=(),
        metavar="1,3,5",
        help="layers of --start-from to take; all otherwise",
    )
    parser.add_argument(
        "--candidates",
        metavar="NAMES",
        help="layers x width of --start-from, e.g. 6x384: as many of its layers, those that it misses least as measured; of "
        "several (12x384,6x384) each is distilled briefly, and the best within [cost] goes on",
    )
    parser.add_argument("--preset", choices=list(PRESETS), help=f"size of a new encoder; {STUDENT_70M.name} otherwise")


def _add_parts(parser: argparse.ArgumentParser) -> None:
    """Flags that say which parts the recipe has, and how long."""
    from m5model.distillation.parts import PARTS

    parser.add_argument("--steps", type=whole_number(0), help="optimiser steps of all parts; the size's own number otherwise")
    parser.add_argument(
        "--without", action="append", default=[], choices=list(PARTS), help="a part to leave out, also several times"
    )
    parser.add_argument(
        "--relations",
        type=whole_number(-MAX_LAYERS, MAX_LAYERS),
        nargs="?",
        const=-1,
        metavar="LAYER",
        help="also imitate how tokens relate to each other in this layer of the (first) teacher, from 0, or from -1 backwards; "
        "the last one without a number",
    )
    parser.add_argument(
        "--cross-encoder",
        metavar="ID-OR-PATH",
        help="also learn on --pairs how surely this bundle, which reads two texts as one, takes them for one product",
    )
    parser.add_argument(
        "--temperature", type=number(0.01, 100), default=2.0, help="of the cross-encoder's targets (default: %(default)s)"
    )
    parser.add_argument(
        "--label-weight", type=number(0, 1), default=0.5, help="of true labels beside these targets (default: %(default)s)"
    )
    parser.add_argument(
        "--ablate",
        type=whole_number(1),
        nargs="?",
        const=0,
        metavar="STEPS",
        help="for the page, also run the recipe at so many steps, whole and without each part; without a number a fifth of "
        "--steps",
    )


def _add_gate(parser: argparse.ArgumentParser) -> None:
    """Flags that say how the student is exported, and when it is refused."""
    parser.add_argument("--gate", metavar="FILE", help="thresholds as TOML, see below")
    parser.add_argument(
        "--min-correlation", type=number(-1, 1), metavar="NUMBER", help="the gate's agreement.min_correlation; 0.8 otherwise"
    )
    parser.add_argument(
        "--quantization",
        choices=("static", "dynamic"),
        default="static",
        help="int8 activations: scales calibrated once, so that a vector depends on its text alone; or taken per batch (then "
        "without the engine's own graph, and only with a gate file that allows it under [batches])",
    )


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of weights, order and dropout")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU where there is one")
    parser.add_argument("--threads", type=whole_number(0, MAX_THREADS), default=0, help="CPU threads; 0: as many as cores")
    parser.add_argument("--checkpoint-every", type=whole_number(1), default=200, metavar="STEPS", help="between checkpoints")


def run(arguments: argparse.Namespace) -> None:
    from m5model.bundles import describe

    workspace = Workspace.resolve(arguments.workspace)
    manifest = distill(workspace, arguments)
    sys.stdout.write(describe.as_text(manifest) + f"\n{workspace.bundle(manifest.id)}\n")


def distill(workspace: Workspace, arguments: argparse.Namespace) -> "BundleManifest":
    """Make the student that the parsed flags ask for, and its page. A student that was refused gets a page, too."""
    from m5model.distillation.notes import Notes
    from m5model.distillation.request import fulfil
    from schemas.errors import GateRefusedError

    notes = Notes()
    try:
        manifest = fulfil(_request(workspace, arguments), notes)
    except GateRefusedError:
        if notes.figures:  # else it was refused before it was examined, and there is nothing to show
            _write_page(workspace, notes, None)
        raise
    if notes.figures:
        _write_page(workspace, notes, manifest)
    return manifest


def _write_page(workspace: Workspace, notes: "Notes", manifest: "BundleManifest | None") -> None:
    from m5model.files import storage
    from m5model.reports.distillation.facts import facts_of
    from m5model.reports.distillation.page import render_page
    from m5model.training.progress import say

    path = workspace.page(f"distill-{manifest.id}" if manifest else f"distill-refused-{notes.run}")
    storage.write_bytes(path, render_page(facts_of(notes, manifest)).encode())
    say(f"page: {path}")


def _request(workspace: Workspace, arguments: argparse.Namespace) -> "Request":
    from m5model.distillation.request import Request
    from m5model.training.config import Machine

    return Request(
        workspace=workspace,
        teachers=tuple(arguments.teacher or [None]),
        training_set=arguments.training_set,
        pairs=arguments.pairs or "",
        attributes=arguments.attributes or "",
        same_space_as=arguments.same_space_as,
        start_from=arguments.start_from,
        layers=arguments.layers,
        candidates=arguments.candidates or "",
        relations_of=arguments.relations,
        cross_encoder=arguments.cross_encoder,
        temperature=arguments.temperature,
        label_weight=arguments.label_weight,
        ablate=arguments.ablate,
        preset=arguments.preset,
        steps=arguments.steps,
        without=tuple(arguments.without),
        quantization=arguments.quantization,
        seed=arguments.seed,
        gate=_gate(arguments),
        machine=Machine(device=arguments.device, threads=arguments.threads, checkpoint_every=arguments.checkpoint_every),
    )


def _gate(arguments: argparse.Namespace) -> "StudentGate":
    from dataclasses import replace

    from m5model.distillation.thresholds import StudentGate, read_gate

    gate = read_gate(arguments.gate) if arguments.gate else StudentGate()
    if arguments.min_correlation is None:
        return gate
    return replace(gate, agreement=replace(gate.agreement, min_correlation=arguments.min_correlation))
