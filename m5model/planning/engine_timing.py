"""Times calls of the int8 engine on this machine, one core, with random weights: speed does not depend on what a model learned.

Needs the extra m5[train], which exports the graphs. Tensor suffixes: B rows, L tokens.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

from m5model.encoders.presets import EncoderPreset
from m5model.planning.shape import Shape, shape_of
from m5model.planning.speed import Point
from m5model.runtime.batching import rows_of_a_call
from m5model.runtime.encoder import open_session, run_graph
from m5model.runtime.tokens import open_tokenizer, tokenize
from schemas.bundle import ONNX_ENGINE_FILE, ONNX_FP32_FILE, ONNX_INT8_FILE

VOCABULARY = 8_192  # of the timed graphs: looking tokens up takes no time that shows
MAX_TOKENS = 256
LENGTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
MADE_WORDS, MADE_TEXTS, WORDS_PER_TEXT = 4_000, 1_000, 50
EXPORT_CALLS, EXPORT_SHAPE = 2, (8, 32)


def timed_preset(layers: int, hidden_size: int) -> EncoderPreset:
    """A BERT-style geometry: heads of 64 (32 in the smallest), four times as wide inside."""
    return EncoderPreset(
        name=f"{layers}x{hidden_size}",
        layers=layers,
        hidden_size=hidden_size,
        heads=max(4, hidden_size // 64),
        intermediate_size=4 * hidden_size,
        vocabulary_size=VOCABULARY,
        max_tokens=MAX_TOKENS,
        parameters=1,
    )


def engine_graph(preset: EncoderPreset) -> bytes:
    """The engine's int8 graph of a random encoder."""
    from m5model.encoders.bert import build_encoder, save_encoder
    from m5model.export.engine_graph import write_engine_graph
    from m5model.export.fp32 import export_fp32
    from m5model.export.quantization import quantize
    from m5model.export.text_batches import TextBatch

    draw = np.random.default_rng(0)
    with TemporaryDirectory(prefix="m5-calibrate-") as name:
        folder = Path(name)
        fp32, int8, engine = (folder / file for file in (ONNX_FP32_FILE, ONNX_INT8_FILE, ONNX_ENGINE_FILE))
        fp32.parent.mkdir(exist_ok=True)
        save_encoder(folder, build_encoder(preset), preset.max_tokens)
        export_fp32(folder, fp32)
        ids = [draw.integers(5, preset.vocabulary_size, EXPORT_SHAPE) for _ in range(EXPORT_CALLS)]
        quantize(fp32, int8, "static", [TextBatch(ids_BL, np.ones_like(ids_BL)) for ids_BL in ids])
        write_engine_graph(int8, engine)
        return engine.read_bytes()


class TimedEngine:
    """One geometry's session, and what its calls took."""

    def __init__(self, preset: EncoderPreset, graph: bytes | None = None) -> None:
        self.shape: Shape = shape_of(preset)
        self._session: onnxruntime.InferenceSession = open_session(graph or engine_graph(preset))
        self._seconds: dict[int, list[float]] = {length: [] for length in LENGTHS}
        self._draw = np.random.default_rng(1)
        for length in self._seconds:
            self._call(length)  # the first call of a shape allocates

    def time_round(self, calls: int) -> None:
        """``calls`` of every length, the longest first, as m5model.runtime.batching orders them: calls of like shape follow one
        another, which is quicker than any other order."""
        for length in sorted(self._seconds, reverse=True):
            self._seconds[length] += [self._call(length) for _ in range(calls)]

    def points(self) -> Iterator[Point]:
        """The mean of the calls of each length, without the dearest tenth: others disturb some."""
        for length, taken in self._seconds.items():
            kept = sorted(taken)[: max(1, round(0.9 * len(taken)))]
            yield Point(shape=self.shape, rows=rows_of_a_call(length), length=length, seconds=float(np.mean(kept)))

    def _call(self, length: int) -> float:
        ids_BL = self._draw.integers(5, VOCABULARY, (rows_of_a_call(length), length))
        mask_BL = np.ones_like(ids_BL)
        before = time.thread_time()
        run_graph(self._session, ids_BL, mask_BL)
        return time.thread_time() - before


def time_tokenizing(rounds: int) -> float:
    """CPU seconds a token: made texts of made words, some of which are common, and a vocabulary learned from them."""
    from m5model.data.vocabulary import train_vocabulary

    draw = np.random.default_rng(0)
    letters = np.asarray(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(draw.choice(letters, size)) for size in draw.integers(2, 10, MADE_WORDS)]
    places = np.minimum(draw.zipf(1.3, (MADE_TEXTS, WORDS_PER_TEXT)), MADE_WORDS) - 1
    texts = [" ".join(words[place] for place in row) for row in places]
    tokenizer = open_tokenizer(train_vocabulary(texts, VOCABULARY).to_str())
    taken = []
    for _ in range(rounds):
        before = time.process_time()
        tokens = int(tokenize(tokenizer, texts, MAX_TOKENS).counts_N.sum())
        taken.append((time.process_time() - before) / tokens)
    return float(np.median(taken))


def time_engines(presets: Sequence[EncoderPreset], rounds: int, calls: int) -> list[Point]:
    """Rounds are interleaved: what disturbs the machine for a while disturbs all geometries."""
    engines = [TimedEngine(preset) for preset in presets]
    for _ in range(rounds):
        for engine in engines:
            engine.time_round(calls)
    return [point for engine in engines for point in engine.points()]
