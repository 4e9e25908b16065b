"""The same student and the same listings through our engine and through other projects, as their users run them.

    python benchmarks/peers.py --peers-python PEERS/bin/python [--rows 2000] [--preset student-70m] [--rounds 2] [--only NAME]

Peers live in an environment of their own (benchmarks/inputs/peers.txt says how to make it); one that is absent or fails is
named with its reason. Every process loads its model and warms up first, then embeds the same rows ``--rounds`` times; medians
are compared. Memory is the largest sum of the resident sizes of a process and all below it, while it embeds.
``same_bytes``: are the vectors the same when the texts come in the opposite order? The last line of stdout is one JSON object.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from inputs.frames import text_frame
from inputs.listings import read_texts
from inputs.process_tree import resident_mb_of_tree
from inputs.stopwatch import Stopwatch
from inputs.students import make_student

from m5model.runtime.encoder import ModelBytes
from m5model.training.progress import say
from spark.embedding.engine import EngineModel, embed_texts, engine_settings
from spark.setup.session import build_session

RUNNER = Path(__file__).parent / "inputs" / "peer_runs.py"
NAMES = ("ray_data", "daft", "sentence_transformers_openvino", "sentence_transformers_onnx_pool", "ctranslate2")
WARM_UP_ROWS = 64
POLL_SECONDS = 0.2
Pass = Callable[[bool], str]  # embeds all, in reverse or not; gives the SHA-256 of the vectors


@dataclass(kw_only=True)
class Timings:
    """Holds what the passes of one engine took."""

    seconds: list[float] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    peak_mb: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", type=Path, required=True, help="the interpreter of the peers' environment")
    parser.add_argument("--rows", type=int, default=2_000, help="listings (default: %(default)s)")
    parser.add_argument("--preset", default="student-70m", help="size of the student (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="timings of each (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES), help="peers (default: all)")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    texts, origin = read_texts(arguments.rows)
    timed = Stopwatch()
    timings: dict[str, Timings] = {}
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="m5-peers-") as scratch:
        checkpoint, file = Path(scratch) / "student", Path(scratch) / "texts.parquet"
        checkpoint.mkdir()
        model = make_student(checkpoint, arguments.preset, read_texts(20_000, seed=1)[0])
        pq.write_table(pa.table({"text": texts}), file)
        with open_engine(model, texts, cores) as engine:
            timings["m5"] = time_passes(engine, os.getpid(), timed, arguments.rounds)
        for name in arguments.only:
            try:
                with open_peer(arguments.peers_python, name, checkpoint, file, cores) as (one, process):
                    timings[name] = time_passes(one, process, timed, arguments.rounds)
            except PeerError as error:
                absent[name] = str(error)
                say(f"{name}: {error}")
        with open_engine(model, texts, cores) as engine:  # once more: the machine may have changed meanwhile
            again = time_passes(engine, os.getpid(), timed, 1)
        timings["m5"].seconds += again.seconds
    print(json.dumps(figures(arguments, origin, cores, timings, absent, timed)))
    return 0


class PeerError(Exception):
    """A peer is absent, or ended before its time."""


def time_passes(one: Pass, process: int, timed: Stopwatch, rounds: int) -> Timings:
    """``rounds`` passes in the order of the texts, and an untimed one in the opposite order."""
    timings = Timings()
    with watch_memory(process, timings):
        for _ in range(rounds):
            timings.seconds.append(timed(lambda: timings.digests.append(one(False))))
        timings.digests.append(one(True))
    return timings


@contextmanager
def open_engine(model: ModelBytes, texts: list[str], cores: int) -> Iterator[Pass]:
    """Our engine as jobs/embed_catalog.py runs it: Spark, one executor, a session with a thread a core."""
    spark = build_session("peers", settings=engine_settings)
    try:
        broadcast = spark.sparkContext.broadcast(EngineModel(model=model, threads=cores))
        frames = {back: text_frame(spark, texts[::-1] if back else texts, partitions=1).cache() for back in (False, True)}
        for frame in frames.values():
            frame.count()
        embed_texts(frames[False].limit(WARM_UP_ROWS), broadcast).count()

        def one(back: bool) -> str:
            rows = embed_texts(frames[back], broadcast).select("item_id", "vector").toArrow()
            places = rows["item_id"].to_numpy().astype(np.int64)
            if back:
                places = len(texts) - 1 - places
            vectors = np.asarray(rows["vector"].combine_chunks().flatten()).reshape(len(places), -1)
            return hashlib.sha256(vectors[np.argsort(places)].astype(np.float32).tobytes()).hexdigest()

        yield one
    finally:
        spark.stop()


@contextmanager
def open_peer(python: Path, name: str, checkpoint: Path, file: Path, cores: int) -> Iterator[tuple[Pass, int]]:
    """A peer's process, warm; raises PeerError with the last thing that it said where it cannot be had."""
    command = [str(python), str(RUNNER), name, str(checkpoint), str(file), str(cores)]
    silent = {"DAFT_ANALYTICS_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", **silent}
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "OMP_NUM_THREADS")}
    with tempfile.TemporaryFile("w+") as said:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env={**clean, **offline}
            )
        except OSError as error:
            raise PeerError(f"{python} does not run: {error}") from error

        def ask(line: str) -> dict[str, Any]:
            if line:
                process.stdin.write(line + "\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            answer = process.stdout.readline()  # type: ignore[union-attr]
            if not answer:
                process.wait()
                said.seek(0)
                lines = [text for text in said.read().splitlines() if text.strip()]
                raise PeerError(lines[-1] if lines else f"it ended with {process.returncode}")
            found: dict[str, Any] = json.loads(answer)
            return found

        try:
            ask("")
            yield (lambda back: str(ask("reversed" if back else "forward")["sha256"])), process.pid
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def watch_memory(process: int, timings: Timings) -> Iterator[None]:
    """Notes the largest size of the process and all below it."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(POLL_SECONDS):
            timings.peak_mb = max(timings.peak_mb, resident_mb_of_tree(process))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def figures(
    arguments: argparse.Namespace,
    origin: str,
    cores: int,
    timings: dict[str, Timings],
    absent: dict[str, str],
    timed: Stopwatch,
) -> dict[str, Any]:
    """All that was measured; ``m5_to_best`` is our rate by that of the best peer."""
    rates = {name: arguments.rows / statistics.median(one.seconds) for name, one in timings.items()}
    peers = {name: rate for name, rate in rates.items() if name != "m5"}
    return {
        "benchmark": "peers",
        "rows": arguments.rows,
        "listings": origin,
        "preset": arguments.preset,
        "cores": cores,
        "rows_per_s": {name: round(rate, 1) for name, rate in rates.items()},
        "m5_to": {name: round(rates["m5"] / rate, 2) for name, rate in peers.items()},
        "m5_to_best": round(rates["m5"] / max(peers.values()), 2) if peers else None,
        "peak_mb": {name: round(one.peak_mb) for name, one in timings.items()},
        "same_bytes": {name: len(set(one.digests)) == 1 for name, one in timings.items()},
        "absent": absent,
        "others_cpu_share": round(timed.others_share, 3),
    }


if __name__ == "__main__":
    sys.exit(main())
