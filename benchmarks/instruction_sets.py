"""Do this machine's int8 products give the vectors that were recorded on another kind of machine?

    python benchmarks/instruction_sets.py             # checks the recorded file against this machine
    python benchmarks/instruction_sets.py --record    # makes the file anew, here

The file (benchmarks/recorded_vectors/) holds a small int8 student with random weights, texts of the sample catalogue in all
ten languages, and their vectors. The last line of stdout is one JSON object.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from m5model.rendering import DEFAULT_RENDERING
from m5model.runtime.encoder import Encoder, ModelBytes
from m5model.runtime.instruction_set import instruction_set
from schemas.bundle import ONNX_ENGINE_FILE, TOKENIZER_FILE

RECORDED = Path(__file__).parent / "recorded_vectors"
GRAPH, RECORD = RECORDED / "model_int8_engine.onnx", RECORDED / "vectors.json"
TEXTS = 200
MAX_TOKENS, HIDDEN = 128, 128


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """This machine against the recorded one."""

    recorded_by: str
    texts: int
    min_cosine: float
    max_abs_diff: float
    vectors_differing: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="make the file anew with this machine's vectors")
    parser.add_argument("--family", default=instruction_set(), help="this machine (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.record:
        record_vectors(arguments.family)
    agreement = compare_with_recorded()
    print(json.dumps({"benchmark": "instruction_sets", "instruction_set": arguments.family, **vars(agreement)}))
    return 0


def compare_with_recorded() -> Agreement:
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    expected = np.asarray([np.frombuffer(bytes.fromhex(vector), np.float32) for vector in recorded["vectors"]])
    found = open_recorded().encode(recorded["texts"])
    exact, here = expected.astype(np.float64), found.astype(np.float64)
    cosines = (exact * here).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(here, axis=1)
    return Agreement(
        recorded_by=recorded["instruction_set"],
        texts=len(found),
        min_cosine=round(float(cosines.min()), 9),
        max_abs_diff=float(np.abs(expected - found).max()),
        vectors_differing=int((expected != found).any(axis=1).sum()),
    )


def open_recorded() -> Encoder:
    model = ModelBytes(
        graph=GRAPH.read_bytes(),
        tokenizer=(RECORDED / TOKENIZER_FILE).read_bytes(),
        max_tokens=MAX_TOKENS,
        hidden_size=HIDDEN,
        space_id="recorded",
    )
    return Encoder(model, DEFAULT_RENDERING)


def record_vectors(family: str) -> None:
    from inputs.listings import sample_texts
    from inputs.students import make_student

    from m5model.presets import EncoderPreset

    preset = EncoderPreset(
        name="recorded", layers=2, hidden_size=HIDDEN, heads=4, intermediate_size=512, vocabulary_size=2_048,
        max_tokens=MAX_TOKENS, parameters=0, steps=0, token_budget=0, learning_rate=0.0,
    )  # fmt: skip
    texts = sample_texts(3_000)
    RECORDED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        make_student(Path(scratch), preset, texts)
        shutil.copy(Path(scratch) / ONNX_ENGINE_FILE, GRAPH)
        shutil.copy(Path(scratch) / TOKENIZER_FILE, RECORDED / TOKENIZER_FILE)
    chosen = texts[:: max(1, len(texts) // TEXTS)][:TEXTS]
    vectors = [vector.tobytes().hex() for vector in open_recorded().encode(chosen)]
    record = {"instruction_set": family, "onnxruntime": onnxruntime.__version__, "texts": chosen, "vectors": vectors}
    RECORD.write_text(json.dumps(record, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
