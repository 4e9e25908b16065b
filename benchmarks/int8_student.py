"""Speed, size and fidelity of a student's graphs: fp32, static int8, the engine's form of it, dynamic int8.

Random weights and biases, one thread, interleaved. A text of every length counts whether the engine's bytes are static int8's.

    python benchmarks/int8_student.py --preset student-70m --rows 16 --tokens 64 --repeats 9

The last line of stdout is one JSON object.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from inputs.students import export_fp32_graph, quantize_graph, random_batch

from m5model.encoders.presets import PRESETS, get_preset
from m5model.export.parity import count_differing, onnx_vectors
from m5model.export.quantization import quantize
from m5model.export.text_batches import TextBatch
from m5model.runtime.encoder import open_session, run_graph


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(PRESETS), default="student-70m")
    parser.add_argument("--rows", type=int, default=16, help="rows per call (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=64, help="tokens per row (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=9, help="calls per graph (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        graphs = _make_graphs(Path(folder), arguments.preset)
        figures = _measure(
            graphs, random_batch(get_preset(arguments.preset), arguments.rows, arguments.tokens, seed=0), arguments.repeats
        )
        differing = _count_differing(graphs, arguments.preset)
    engine = {
        "engine_to_static": round(figures["static"]["median_ms"] / figures["engine"]["median_ms"], 3),
        "engine_vectors_compared": get_preset(arguments.preset).max_tokens,
        "engine_vectors_differing": differing,
    }
    print(json.dumps({"benchmark": "int8_student", **vars(arguments), "graphs": figures, **engine}))
    return 0


def _make_graphs(folder: Path, name: str) -> dict[str, Path]:
    preset = get_preset(name)
    fp32 = export_fp32_graph(folder, preset)
    static, engine = quantize_graph(fp32, preset)
    dynamic = folder / "dynamic.onnx"
    quantize(fp32, dynamic, "dynamic", [])
    return {"fp32": fp32, "static": static, "engine": engine, "dynamic": dynamic}


def _measure(graphs: dict[str, Path], batch: TextBatch, repeats: int) -> dict[str, dict[str, float]]:
    sessions = {kind: open_session(path.read_bytes()) for kind, path in graphs.items()}
    vectors = {kind: run_graph(session, batch.ids_BL, batch.mask_BL) for kind, session in sessions.items()}
    seconds: dict[str, list[float]] = {kind: [] for kind in sessions}
    for _ in range(repeats):
        for kind, session in sessions.items():
            started = time.perf_counter()
            run_graph(session, batch.ids_BL, batch.mask_BL)
            seconds[kind].append(time.perf_counter() - started)
    return {
        kind: {
            "median_ms": round(statistics.median(seconds[kind]) * 1e3, 2),
            "megabytes": round(graphs[kind].stat().st_size / 1e6, 2),
            "worst_cosine_to_fp32": round(float((vectors[kind] * vectors["fp32"]).sum(axis=1).min()), 6),
        }
        for kind in sessions
    }


def _count_differing(graphs: dict[str, Path], preset: str) -> int:
    """Lengths whose text gets other bytes from the engine's graph than from the one that it was made of."""
    batches = [
        random_batch(get_preset(preset), 1, length, seed=length) for length in range(1, get_preset(preset).max_tokens + 1)
    ]
    return count_differing(*(onnx_vectors(graphs[kind], batches) for kind in ("static", "engine")))


if __name__ == "__main__":
    sys.exit(main())
