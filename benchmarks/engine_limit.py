"""How much of what these cores can do in int8 does the engine do? By geometry and length, beside OpenVINO, on real listings.

    python benchmarks/engine_limit.py [--presets student-70m 12x384 6x384] [--rows 4000] [--rounds 3]

``limit``: the largest rate of an int8 product (MatMulInteger, u8 x s8) that onnxruntime reaches here with a thread a core.
``share``: multiply-adds in the linear layers alone, at the tokens a second of calls of one shape, by that limit.
``to_openvino``: the engine's rate by that of OpenVINO on the portable int8 graph with a stream a core, on the same ids (where
``openvino`` is installed: pip install openvino==2026.4.1). ``listings_to_one_shape``: real listings through the whole engine,
tokenising included, by calls of one shape of their mean length. All are timed in turn, ``--rounds`` times; medians are
compared. The last line of stdout is one JSON object.
"""

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from inputs.listings import read_texts
from inputs.stopwatch import Stopwatch
from inputs.students import make_student
from onnx import TensorProto, helper

from m5model.encoders.presets import PRESETS, EncoderPreset, get_preset
from m5model.planning.engine_timing import timed_preset
from m5model.runtime.batching import rows_of_a_call
from m5model.runtime.encoder import Encoder, open_session, run_graph
from m5model.training.progress import say
from schemas.bundle import ONNX_INT8_FILE

PRODUCTS = ((512, 768, 3_072), (512, 384, 1_536), (1_024, 1_024, 4_096))
LENGTHS = (16, 32, 64, 128, 512)
SECONDS = 1.5  # of a timing
VOCABULARY, MAX_TOKENS = 32_000, 512

Rate = Callable[[], float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["student-70m", "12x384", "6x384"], help="(default: %(default)s)")
    parser.add_argument("--rows", type=int, default=4_000, help="real listings (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    texts, origin = read_texts(arguments.rows)
    timed = Stopwatch()
    geometries: dict[str, Any] = {}
    limit: list[float] = []
    timed(lambda: limit.append(largest_product(cores)))
    for name in arguments.presets:
        with tempfile.TemporaryDirectory(prefix="m5-limit-") as folder:
            work = partial(measure, Path(folder), geometry(name), texts, cores, arguments.rounds)
            timed(lambda work=work, name=name: geometries.update({name: work()}))
    limit.append(largest_product(cores))
    for one in geometries.values():
        macs = one.pop("macs_per_token")
        one["share"] = {length: round(rate * macs / max(limit) / 1e9, 3) for length, rate in one["tokens_per_s"].items()}
    figures = {
        "benchmark": "engine_limit",
        "cores": cores,
        "limit_gmac_per_s": round(max(limit), 1),
        "rows": len(texts),
        "listings": origin,
        "openvino": _openvino_version(),
        "geometries": geometries,
        "others_cpu_share": round(timed.others_share, 3),
    }
    print(json.dumps(figures))
    return 0


def geometry(name: str) -> EncoderPreset:
    """A preset by its name, or layers x width with the starter's vocabulary."""
    if name in PRESETS:
        return get_preset(name)
    layers, width = (int(part) for part in name.split("x"))
    sizes = vars(timed_preset(layers, width)) | {"vocabulary_size": VOCABULARY, "max_tokens": MAX_TOKENS}
    return EncoderPreset(**sizes)


def largest_product(cores: int) -> float:
    """GMAC/s of the best of PRODUCTS, a thread a core."""
    rates = []
    for m, k, n in PRODUCTS:
        session = open_session(_product(k, n))
        draw = np.random.default_rng(0)
        left = draw.integers(0, 255, (m, k), np.uint8)
        calls = _calls_per_second(partial(session.run, None, {"a": left}), cores)
        rates.append(calls * m * k * n / 1e9)
    return max(rates)


def _product(k: int, n: int) -> bytes:
    weight = np.random.default_rng(1).integers(-127, 127, (k, n), np.int8)
    zeros = [helper.make_tensor("az", TensorProto.UINT8, [], [128]), helper.make_tensor("bz", TensorProto.INT8, [], [0])]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b", "az", "bz"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [None, k])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [None, n])],
        [onnx.numpy_helper.from_array(weight, "b"), *zeros],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def measure(folder: Path, preset: EncoderPreset, texts: list[str], cores: int, rounds: int) -> dict[str, Any]:
    """Tokens a second of one geometry, in turn: ours by length, OpenVINO's by length, real listings."""
    model = make_student(folder, preset, read_texts(20_000, seed=1)[0])
    engine = Encoder(model, threads=cores)
    possible = [length for length in LENGTHS if length <= preset.max_tokens]
    ids = {length: _ids(model.tokenizer, length) for length in possible}
    lengths = engine.measure_lengths(texts)[0]
    ids[round(lengths)] = _ids(model.tokenizer, round(lengths))
    session = open_session(model.graph)
    ours: dict[int, list[float]] = {length: [] for length in ids}
    theirs: dict[int, list[float]] = {length: [] for length in possible}
    listings: list[float] = []
    openvino = _openvino(folder / ONNX_INT8_FILE, cores) if _openvino_version() else None
    engine.encode_texts(texts[:64])
    for number in range(rounds):
        for length, ids_BL in ids.items():
            calls = _calls_per_second(partial(run_graph, session, ids_BL, np.ones_like(ids_BL)), cores)
            ours[length].append(calls * ids_BL.size)
            if openvino and length in theirs:
                theirs[length].append(openvino(ids_BL) * ids_BL.size)
        started = time.perf_counter()
        tokens = int(engine.encode_texts(texts).token_counts.sum())
        listings.append(tokens / (time.perf_counter() - started))
        say(f"{preset.name}, round {number + 1}: { ({length: round(rates[-1]) for length, rates in ours.items()}) }")
    rates = {length: statistics.median(found) for length, found in ours.items()}
    inner = 4 * preset.hidden_size**2 + 2 * preset.hidden_size * preset.intermediate_size
    return {
        "macs_per_token": preset.layers * inner,
        "tokens_per_s": {length: round(rates[length]) for length in possible},
        "to_openvino": {
            length: round(rates[length] / statistics.median(found), 3) for length, found in theirs.items() if found
        },
        "mean_tokens": round(lengths, 1),
        "listings_tokens_per_s": round(statistics.median(listings)),
        "listings_to_one_shape": round(statistics.median(listings) / rates[round(lengths)], 3),
    }


def _ids(tokenizer: bytes, length: int) -> np.ndarray:
    """A call's random ids, of tokens that there are."""
    from tokenizers import Tokenizer

    size = Tokenizer.from_buffer(tokenizer).get_vocab_size()
    return np.random.default_rng(length).integers(5, size, (rows_of_a_call(length), length))


def _calls_per_second(call: Callable[[], object], threads: int) -> float:
    """Of so many threads that call one after the other, for SECONDS."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: call(), range(2 * threads)))
        started = time.perf_counter()

        def run(_: int) -> int:
            done = 0
            while time.perf_counter() - started < SECONDS:
                call()
                done += 1
            return done

        done = sum(pool.map(run, range(threads)))
        return done / (time.perf_counter() - started)


def _openvino_version() -> str | None:
    if importlib.util.find_spec("openvino") is None:
        return None
    import openvino

    return str(openvino.__version__).split("-")[0]


def _openvino(graph: Path, cores: int) -> Callable[[np.ndarray], float]:
    """Calls a second of OpenVINO, a stream a core, with as many requests under way as it asks for."""
    import openvino

    compiled = openvino.Core().compile_model(str(graph), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": cores})
    names = [port.get_any_name() for port in compiled.inputs]

    def rate(ids_BL: np.ndarray) -> float:
        feed = {name: np.ones_like(ids_BL) if "mask" in name else ids_BL for name in names}
        queue = openvino.AsyncInferQueue(compiled, cores)
        for _ in range(2 * cores):
            queue.start_async(feed)
        queue.wait_all()
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS:
            queue.start_async(feed)
            done += 1
        queue.wait_all()
        return done / (time.perf_counter() - started)

    return rate


if __name__ == "__main__":
    sys.exit(main())
