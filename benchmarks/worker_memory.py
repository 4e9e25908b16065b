"""What an executor's Python worker holds: one model, whatever the number of threads that share it.

    python benchmarks/worker_memory.py [--threads 2] [--preset student-70m] [--rows 2000]

Two Spark applications, one with an executor of one core and one with ``--threads``; peak resident memory of the one Python
worker of each, on the same texts. Against it, what a worker per core would hold: as many times the first. The last line of
stdout is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from inputs.frames import text_frame
from inputs.listings import read_texts
from inputs.memory import resident_mb
from inputs.students import make_student

from m5model.runtime.encoder import ModelBytes
from schemas.bundle import ONNX_ENGINE_FILE
from spark.embedding.engine import ARROW_ROWS, EngineModel, embed_texts
from spark.setup.session import build_session


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="(default: %(default)s, the cores)")
    parser.add_argument("--preset", default="student-70m", help="size of the student (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=2_000, help="texts (default: %(default)s)")
    arguments = parser.parse_args()
    texts, origin = read_texts(arguments.rows)
    with tempfile.TemporaryDirectory() as scratch:
        model = make_student(Path(scratch), arguments.preset, read_texts(20_000, seed=1)[0])
        file_mb = (Path(scratch) / ONNX_ENGINE_FILE).stat().st_size / 1e6
        model_mb = loaded_mb(Path(scratch) / ONNX_ENGINE_FILE)
    one, many = (worker_mb(model, texts, threads) for threads in (1, arguments.threads))
    figures = {
        "benchmark": "worker_memory",
        "preset": arguments.preset,
        "rows": len(texts),
        "listings": origin,
        "threads": arguments.threads,
        "model_file_mb": round(file_mb, 1),
        "model_mb": round(model_mb, 1),
        "executor_mb_1_thread": round(one, 1),
        "executor_mb_n_threads": round(many, 1),
        "further_thread_mb": round((many - one) / max(1, arguments.threads - 1), 1),
        "further_thread_to_model": round((many - one) / max(1, arguments.threads - 1) / model_mb, 3),
        "worker_per_core_mb": round(one * arguments.threads, 1),
    }
    print(json.dumps(figures))
    return 0


def loaded_mb(graph: Path) -> float:
    """What an opened session adds to a process, MB: the weights as onnxruntime holds and packs them."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import resource; from m5model.runtime.encoder import open_session;"
        "rss = lambda: int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() / 1e6;"
        "before = rss(); session = open_session(open(sys.argv[1], 'rb').read()); print(rss() - before)"
    )
    command = [sys.executable, "-c", code, str(graph), str(Path(__file__).parents[1])]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def worker_mb(model: ModelBytes, texts: list[str], threads: int) -> float:
    """Peak resident MB of the only Python worker of an application whose executor has ``threads`` cores."""
    settings = {
        "spark.master": f"local[{threads},4]",
        "spark.task.cpus": str(threads),
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(ARROW_ROWS),
    }
    spark = build_session(f"worker_memory: {threads}", settings=lambda _: settings)
    frame = text_frame(spark, texts, 2)
    broadcast = spark.sparkContext.broadcast(EngineModel(model=model, threads=threads))
    embed_texts(frame, broadcast).write.format("noop").mode("overwrite").save()
    peak = resident_mb()["worker"]
    spark.stop()
    return peak


if __name__ == "__main__":
    raise SystemExit(main())
