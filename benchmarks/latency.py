"""Teacher against student, one text at a time: fp32 graph of the teacher, fp32 and int8 graph of the student, in one run.

    python benchmarks/latency.py [--teacher teacher-500m] [--student 6x384] [--threads 1]

Random weights of the real sizes: speed does not depend on what a model has learned. ``--student`` is a preset, or
LAYERSxWIDTH with heads of 32 and a vocabulary of 32,000. The teacher of two streams is measured as the one of 2021: one stream
of 24 layers, the same number of parameters (``teacher_parameters``). Calls are interleaved; a figure is the median of its
rounds. The last line of stdout is one JSON object; ``teacher_to_int8_N`` is how many times faster the student is at N tokens.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from inputs.students import random_encoder

from m5model.encoders.bert import save_encoder
from m5model.encoders.presets import MINI, STUDENT_70M, TEACHER_500M, EncoderPreset, get_preset, layer_parameters
from m5model.export.engine_graph import write_engine_graph
from m5model.export.fp32 import export_fp32
from m5model.export.quantization import quantize
from m5model.export.text_batches import TextBatch
from m5model.runtime.encoder import open_session, run_graph

LENGTHS = (16, 32, 64, 128, 256, 512)
TEACHERS = {
    TEACHER_500M.name: EncoderPreset(
        name="24x1024",
        layers=24,
        hidden_size=TEACHER_500M.hidden_size,
        heads=TEACHER_500M.heads,
        intermediate_size=TEACHER_500M.intermediate_size,
        vocabulary_size=TEACHER_500M.vocabulary_size,
        max_tokens=max(LENGTHS),
        parameters=TEACHER_500M.parameters,
    ),
    STUDENT_70M.name: STUDENT_70M,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", choices=list(TEACHERS), default=TEACHER_500M.name)
    parser.add_argument("--student", type=_geometry, default="6x384", help="a preset, or LAYERSxWIDTH (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of every session (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="calls of every graph and length (default: %(default)s)")
    arguments = parser.parse_args()
    teacher = TEACHERS[arguments.teacher]
    with tempfile.TemporaryDirectory(prefix="m5-latency-") as folder:
        graphs = {
            "teacher": _export(Path(folder) / "teacher", teacher),
            "student": _export(Path(folder) / "student", arguments.student),
            "int8": _quantize(Path(folder) / "student", arguments.student),
        }
        sizes = {f"{name}_mb": round(file.stat().st_size / 1e6, 1) for name, file in graphs.items()}
        milliseconds = _measure(
            {name: open_session(file.read_bytes(), arguments.threads) for name, file in graphs.items()}, arguments
        )
    ratios = {f"teacher_to_int8_{length}": round(found["teacher"] / found["int8"], 2) for length, found in milliseconds.items()}
    result = {
        "benchmark": "latency",
        "teacher": arguments.teacher,
        "teacher_parameters": _parameters(teacher),
        "student": arguments.student.name,
        "threads": arguments.threads,
        **ratios,
        **sizes,
        "milliseconds": milliseconds,
    }
    print(json.dumps(result))
    return 0


def _geometry(text: str) -> EncoderPreset:
    """A preset by name, or LAYERSxWIDTH."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        return get_preset(text)
    layers, width = map(int, match.groups())
    sizes = {"layers": layers, "hidden_size": width, "heads": width // 32, "intermediate_size": 4 * width}
    return replace(MINI, name=text, max_tokens=max(LENGTHS), parameters=1, **sizes)


def _parameters(preset: EncoderPreset) -> int:
    """Of one stream: embeddings, their layer norm, layers."""
    rows = preset.vocabulary_size + preset.max_tokens + 2
    return rows * preset.hidden_size + preset.layers * layer_parameters(preset.hidden_size, preset.intermediate_size)


def _export(folder: Path, preset: EncoderPreset) -> Path:
    folder.mkdir()
    save_encoder(folder, random_encoder(preset), preset.max_tokens)
    export_fp32(folder, folder / "fp32.onnx")
    return folder / "fp32.onnx"


def _quantize(folder: Path, preset: EncoderPreset) -> Path:
    """The engine's int8 graph of the student's fp32 graph."""
    batches = [_batch(preset, 8, 32, seed) for seed in range(1, 9)]
    quantize(folder / "fp32.onnx", folder / "static.onnx", "static", batches)
    write_engine_graph(folder / "static.onnx", folder / "int8.onnx")
    return folder / "int8.onnx"


def _batch(preset: EncoderPreset, rows: int, tokens: int, seed: int) -> TextBatch:
    ids_BL = np.random.default_rng(seed).integers(5, preset.vocabulary_size, (rows, tokens))
    return TextBatch(ids_BL, np.ones_like(ids_BL))


def _measure(sessions: dict[str, onnxruntime.InferenceSession], arguments: argparse.Namespace) -> dict[int, dict[str, Any]]:
    """Length → graph → median milliseconds of one text."""
    presets = {"teacher": TEACHERS[arguments.teacher], "student": arguments.student, "int8": arguments.student}
    found: dict[int, dict[str, Any]] = {}
    for length in LENGTHS:
        batches = {name: _batch(presets[name], 1, length, seed=0) for name in sessions}
        taken: dict[str, list[float]] = {name: [] for name in sessions}
        for turn in range(arguments.rounds + 1):  # the first call of a shape allocates, and is not counted
            for name, session in sessions.items():
                started = time.perf_counter()
                run_graph(session, batches[name].ids_BL, batches[name].mask_BL)
                taken[name] += [time.perf_counter() - started] if turn else []
        found[length] = {name: round(statistics.median(values) * 1e3, 3) for name, values in taken.items()}
        print(f"{length} tokens: {found[length]} ms", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
