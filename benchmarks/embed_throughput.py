"""The engine inside Spark against a plain loop over onnxruntime, a plain ``predict_batch_udf`` and sentence-transformers.

    python benchmarks/embed_throughput.py [--rows 20000] [--preset student-70m]

Same rows, model and cores. Spark's start and the loading of models are left out on all sides. Engine and loop are timed in
turn, ``--rounds`` times; the medians are compared. The two slow ones see the first ``--slow-rows`` of the same rows, which
are in random order. ``others_cpu_share`` says what other processes took of the cores: where it is not near 0, measure again.
The last line of stdout is one JSON object.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from inputs.frames import text_frame
from inputs.listings import read_texts
from inputs.memory import resident_mb
from inputs.stopwatch import Stopwatch
from inputs.students import make_student
from pyspark import Broadcast
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, FloatType

from m5model.runtime.encoder import ModelBytes, open_session
from m5model.training.progress import say
from schemas.bundle import ONNX_INT8_FILE, TOKENIZER_FILE
from spark.embedding.engine import EngineModel, embed_texts, engine_settings
from spark.setup.session import build_session

LOOP_TOKENS = 512  # the token budget of the plain loop: its best of 256 to 1,024 when it was measured
WARM_UP_ROWS = 64


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="listings (default: %(default)s)")
    parser.add_argument("--preset", default="student-70m", help="size of the student (default: %(default)s)")
    parser.add_argument("--slow-rows", type=int, default=2_000, help="rows for the slow ones (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="timings of engine and loop (default: %(default)s)")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    texts, origin = read_texts(arguments.rows)
    timed = Stopwatch()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        say(f"{len(texts):,} {origin} listings; making a {arguments.preset} with random weights")
        model = make_student(folder, arguments.preset, read_texts(20_000, seed=1)[0])
        engine, loop = measure_engine_and_loop(folder, model, texts, cores, arguments.rounds, timed)
        slow_texts = texts[: arguments.slow_rows]
        udf_rate = len(slow_texts) / measure_predict_batch_udf(folder, slow_texts, model.max_tokens, timed)
        sentence_transformers_rate = len(slow_texts) / measure_sentence_transformers(folder, slow_texts, cores, timed)
    rows = len(texts)
    engine_rate, loop_rate = rows / statistics.median(engine.seconds), rows / statistics.median(loop)
    figures = {
        "benchmark": "embed_throughput",
        "rows": rows,
        "listings": origin,
        "preset": arguments.preset,
        "cores": cores,
        "engine_rows_per_s": round(engine_rate, 1),
        "loop_rows_per_s": round(loop_rate, 1),
        "engine_to_loop": round(engine_rate / loop_rate, 3),
        "slow_rows": len(slow_texts),
        "predict_batch_udf_rows_per_s": round(udf_rate, 1),
        "engine_to_predict_batch_udf": round(engine_rate / udf_rate, 2),
        "sentence_transformers_rows_per_s": round(sentence_transformers_rate, 1),
        "engine_to_sentence_transformers": round(engine_rate / sentence_transformers_rate, 2),
        "padding_waste": round(engine.padding_waste, 4),
        "peak_rss_mb": round(engine.peak_rss_mb, 1),
        "others_cpu_share": round(timed.others_share, 3),
    }
    print(json.dumps(figures))
    return 0


class EngineTimings:
    """What the engine's rounds gave."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.padding_waste = 0.0
        self.peak_rss_mb = 0.0  # of the executor's Python worker


def measure_engine_and_loop(
    folder: Path, model: ModelBytes, texts: list[str], cores: int, rounds: int, timed: Stopwatch
) -> tuple[EngineTimings, list[float]]:
    """In turn, so that a slower minute of the machine meets both."""
    spark = build_session("embed_throughput: engine", settings=engine_settings)
    frame = text_frame(spark, texts, partitions=1).cache()
    frame.count()
    broadcast = spark.sparkContext.broadcast(EngineModel(model=model, threads=cores))
    write_nowhere(embed_texts(frame.limit(WARM_UP_ROWS), broadcast))
    timings, loop_seconds = EngineTimings(), []
    with PlainLoop(folder, texts, cores, model.max_tokens) as run_loop:
        for number in range(rounds):
            seconds, timings.padding_waste = time_engine(frame, broadcast, timed)
            timings.seconds.append(seconds)
            timings.peak_rss_mb = resident_mb()["worker"]  # now: Spark ends a worker that waits a minute for work
            loop_seconds.append(timed(run_loop))
            say(f"round {number + 1}: engine {timings.seconds[-1]:.1f} s, loop {loop_seconds[-1]:.1f} s")
    spark.stop()
    return timings, loop_seconds


def time_engine(frame: DataFrame, model: Broadcast, timed: Stopwatch) -> tuple[float, float]:
    """Seconds of one pass, and the share of computed tokens that were padding: counted on the way."""
    tokens = Observation()
    sums = F.sum("tokens").alias("read"), F.sum("computed_tokens").alias("computed")
    embedded = embed_texts(frame, model).observe(tokens, *sums)
    seconds = timed(lambda: write_nowhere(embedded))
    return seconds, 1 - tokens.get["read"] / tokens.get["computed"]


class PlainLoop:
    """One process per core, each with a session of one thread: length-sorted batches under a token budget, no Spark."""

    def __init__(self, folder: Path, texts: list[str], cores: int, max_tokens: int) -> None:
        self._model, self._texts, self._cores = (str(folder), max_tokens), texts, cores

    def __enter__(self) -> Callable[[], object]:
        context = multiprocessing.get_context("spawn")
        self._pool = context.Pool(self._cores, _load_loop_model, self._model)
        shards = [self._texts[core :: self._cores] for core in range(self._cores)]
        self._pool.map(_encode_shard, [shard[:WARM_UP_ROWS] for shard in shards], chunksize=1)
        return lambda: self._pool.map(_encode_shard, shards, chunksize=1)

    def __exit__(self, *_: object) -> None:
        self._pool.terminate()


def _load_loop_model(folder: str, max_tokens: int) -> None:
    from tokenizers import Tokenizer

    global _session, _tokenizer
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _session = open_session((Path(folder) / ONNX_INT8_FILE).read_bytes())
    _tokenizer = Tokenizer.from_file(str(Path(folder) / TOKENIZER_FILE))
    _tokenizer.enable_truncation(max_tokens)


def _encode_shard(texts: list[str]) -> int:
    ids = [encoding.ids for encoding in _tokenizer.encode_batch_fast(texts)]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    vectors: list[np.ndarray] = []
    for batch in _batches_under_budget(order, ids):
        width = len(ids[batch[-1]])
        ids_BL = np.zeros((len(batch), width), np.int64)
        for row, i in enumerate(batch):
            ids_BL[row, : len(ids[i])] = ids[i]
        feed = {"input_ids": ids_BL, "attention_mask": (ids_BL != 0).astype(np.int64)}
        vectors.append(_session.run(None, feed)[0])
    with tempfile.TemporaryFile() as file:
        np.save(file, np.concatenate(vectors))
    return len(texts)


def _batches_under_budget(order: list[int], ids: list[list[int]]) -> Iterator[list[int]]:
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * len(ids[i]) > LOOP_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    yield batch


def measure_predict_batch_udf(folder: Path, texts: list[str], max_tokens: int, timed: Stopwatch) -> float:
    """As a user would first write it: batches of 32, padded to the longest, onnxruntime's default threads."""
    from pyspark.ml.functions import predict_batch_udf

    spark = build_session("embed_throughput: predict_batch_udf")
    graph, tokenizer_file = str(folder / ONNX_INT8_FILE), str(folder / TOKENIZER_FILE)

    def make_predict() -> Callable[[np.ndarray], np.ndarray]:
        import onnxruntime
        from tokenizers import Tokenizer

        session = onnxruntime.InferenceSession(graph)
        tokenizer = Tokenizer.from_file(tokenizer_file)
        tokenizer.enable_padding()
        tokenizer.enable_truncation(max_tokens)

        def predict(batch: np.ndarray) -> np.ndarray:
            encodings = tokenizer.encode_batch(list(batch))
            ids_BL = np.array([encoding.ids for encoding in encodings])
            mask_BL = np.array([encoding.attention_mask for encoding in encodings])
            return session.run(None, {"input_ids": ids_BL, "attention_mask": mask_BL})[0]

        return predict

    embed = predict_batch_udf(make_predict, return_type=ArrayType(FloatType()), batch_size=32)
    frame = text_frame(spark, texts, partitions=spark.sparkContext.defaultParallelism).cache()
    frame.count()
    write_nowhere(frame.limit(WARM_UP_ROWS).select(embed("text")))
    seconds = timed(lambda: write_nowhere(frame.select(embed("text"))))
    say(f"predict_batch_udf {seconds:.1f} s")
    spark.stop()
    return seconds


def measure_sentence_transformers(folder: Path, texts: list[str], cores: int, timed: Stopwatch) -> float:
    """Its torch backend on the same checkpoint (fp32), with its own defaults: batches of 32, sorted by length."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(cores)
    model = SentenceTransformer(str(folder), device="cpu")
    model.encode(texts[:WARM_UP_ROWS])
    seconds = timed(lambda: model.encode(texts))
    say(f"sentence-transformers {seconds:.1f} s")
    return seconds


def write_nowhere(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()


if __name__ == "__main__":
    sys.exit(main())
