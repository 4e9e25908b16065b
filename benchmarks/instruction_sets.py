"""Do this machine's int8 products give the vectors that were recorded on another kind of machine?

    python benchmarks/instruction_sets.py             # checks the recorded file against this machine
    python benchmarks/instruction_sets.py --record    # makes the file anew, here
    python benchmarks/inputs/plain_avx2.py benchmarks/instruction_sets.py --family avx2    # both families on one machine

The folder (benchmarks/recorded_vectors/, or ``--recorded``) holds an int8 student with random weights, texts of the sample
catalogue in all ten languages, and their vectors. The last line of stdout is one JSON object.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from m5model.encoders.presets import PRESETS, EncoderPreset, get_preset
from m5model.runtime.encoder import Encoder, ModelBytes
from m5model.runtime.instruction_set import instruction_set
from m5model.runtime.rendering import DEFAULT_RENDERING
from schemas.bundle import ONNX_ENGINE_FILE, TOKENIZER_FILE

RECORDED = Path(__file__).parent / "recorded_vectors"
GRAPH, RECORD = Path(ONNX_ENGINE_FILE).name, "vectors.json"
TEXTS = 200
SMALL = EncoderPreset(
    name="small", layers=2, hidden_size=128, heads=4, intermediate_size=512, vocabulary_size=2_048,
    max_tokens=128, parameters=0,
)  # fmt: skip


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
    parser.add_argument("--record", action="store_true", help="make the folder's files anew with this machine's vectors")
    parser.add_argument("--recorded", type=Path, default=RECORDED, metavar="FOLDER", help="(default: beside this file)")
    parser.add_argument("--preset", choices=list(PRESETS), help="size of the student to record (default: two layers, 128 wide)")
    parser.add_argument("--family", default=instruction_set(), help="this machine (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.record:
        preset = get_preset(arguments.preset) if arguments.preset else SMALL
        record_vectors(arguments.recorded, preset, arguments.family)
    agreement = compare_with_recorded(arguments.recorded)
    print(json.dumps({"benchmark": "instruction_sets", "instruction_set": arguments.family, **vars(agreement)}))
    return 0


def compare_with_recorded(folder: Path = RECORDED) -> Agreement:
    recorded = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    expected = np.asarray([np.frombuffer(bytes.fromhex(vector), np.float32) for vector in recorded["vectors"]])
    found = open_recorded(folder, recorded["max_tokens"], expected.shape[1]).encode(recorded["texts"])
    exact, here = expected.astype(np.float64), found.astype(np.float64)
    cosines = (exact * here).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(here, axis=1)
    return Agreement(
        recorded_by=recorded["instruction_set"],
        texts=len(found),
        min_cosine=round(float(cosines.min()), 9),
        max_abs_diff=float(np.abs(expected - found).max()),
        vectors_differing=int((expected != found).any(axis=1).sum()),
    )


def open_recorded(folder: Path, max_tokens: int, hidden_size: int) -> Encoder:
    model = ModelBytes(
        graph=(folder / GRAPH).read_bytes(),
        tokenizer=(folder / TOKENIZER_FILE).read_bytes(),
        max_tokens=max_tokens,
        hidden_size=hidden_size,
        space_id="recorded",
        rendering=DEFAULT_RENDERING,
    )
    return Encoder(model)


def record_vectors(folder: Path, preset: EncoderPreset, family: str) -> None:
    from inputs.listings import sample_texts
    from inputs.students import make_student

    texts = sample_texts(3_000)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        make_student(Path(scratch), preset, texts)
        shutil.copy(Path(scratch) / ONNX_ENGINE_FILE, folder / GRAPH)
        shutil.copy(Path(scratch) / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    chosen = texts[:: max(1, len(texts) // TEXTS)][:TEXTS]
    encoder = open_recorded(folder, preset.max_tokens, preset.hidden_size)
    record = {
        "instruction_set": family,
        "onnxruntime": onnxruntime.__version__,
        "max_tokens": preset.max_tokens,
        "texts": chosen,
        "vectors": [vector.tobytes().hex() for vector in encoder.encode(chosen)],
    }
    (folder / RECORD).write_text(json.dumps(record, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
