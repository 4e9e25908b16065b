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

import onnxruntime
from inputs.students import export_fp32_graph, quantize_graph, random_batch

from m5model.encoders.presets import MINI, STUDENT_70M, TEACHER_500M, EncoderPreset, get_preset, layer_parameters
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
        student = export_fp32_graph(Path(folder) / "student", arguments.student)
        graphs = {
            "teacher": export_fp32_graph(Path(folder) / "teacher", teacher),
            "student": student,
            "int8": quantize_graph(student, arguments.student)[1],
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


def _measure(sessions: dict[str, onnxruntime.InferenceSession], arguments: argparse.Namespace) -> dict[int, dict[str, Any]]:
    """Length → graph → median milliseconds of one text."""
    presets = {"teacher": TEACHERS[arguments.teacher], "student": arguments.student, "int8": arguments.student}
    found: dict[int, dict[str, Any]] = {}
    for length in LENGTHS:
        batches = {name: random_batch(presets[name], 1, length, seed=0) for name in sessions}
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
