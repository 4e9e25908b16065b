"""Shows how other projects embed texts, as their own users would: one process a peer, which embeds whenever it is told to.

    PEERS/bin/python benchmarks/inputs/peer_runs.py NAME CHECKPOINT TEXTS.parquet CORES

Prints a line of JSON when its model is loaded and warm. For every line on its standard input it embeds all texts and prints
seconds and the SHA-256 of the vectors (float32, in the order of the texts); the word ``reversed`` hands it the texts from the
last to the first, and the vectors are put back: they should be the same bytes. M5 is not imported here: the packages of
inputs/peers.txt and this file are enough. Texts longer than the model reads are cut by each peer itself.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

Embed = Callable[[Sequence[str]], np.ndarray]
WARM_UP_TEXTS = 64
CALIBRATION_TEXTS = 128
BATCH_ROWS = 32  # sentence-transformers' default
TOKEN_BUDGET = 1_024  # tokens a call where a peer leaves batches to its user
PIECE_ROWS = 512  # rows that an actor or a process gets at a time
ONNX_FILE = "onnx/model_qint8_avx512_vnni.onnx"


def ray_data(checkpoint: Path, cores: int) -> Embed:
    """Ray Data: an actor a core, each with sentence-transformers (fp32)."""
    import ray

    os.environ["OMP_NUM_THREADS"] = "1"
    ray.init(num_cpus=cores, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)

    class Embedder:
        def __init__(self) -> None:
            from sentence_transformers import SentenceTransformer

            self.model = SentenceTransformer(str(checkpoint), device="cpu")

        def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"place": batch["place"], "vector": self.model.encode(list(batch["text"]), batch_size=BATCH_ROWS)}

    def embed(texts: Sequence[str]) -> np.ndarray:
        rows = ray.data.from_items([{"place": place, "text": text} for place, text in enumerate(texts)])
        actors = ray.data.ActorPoolStrategy(size=cores)
        done = rows.map_batches(Embedder, compute=actors, batch_size=PIECE_ROWS).take_all()
        return np.stack([row["vector"] for row in sorted(done, key=lambda row: row["place"])])

    return embed


def daft(checkpoint: Path, cores: int) -> Embed:
    """Daft's own text embedding, whose provider is sentence-transformers (fp32)."""
    import daft as frames
    from daft.functions import embed_text

    def embed(texts: Sequence[str]) -> np.ndarray:
        frame = frames.from_pydict({"text": list(texts)})
        vectors = embed_text(frame["text"], provider="transformers", model=str(checkpoint))
        return np.stack(frame.with_column("vector", vectors).to_pydict()["vector"]).astype(np.float32)

    return embed


def sentence_transformers_openvino(checkpoint: Path, cores: int) -> Embed:
    """sentence-transformers with its OpenVINO backend, static int8 by nncf, as its documentation shows."""
    import nncf
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(checkpoint), backend="openvino", device="cpu")
    inner, tokenizer = model[0].auto_model, model.tokenizer
    names = {port.get_any_name() for port in inner.model.inputs}

    def inputs(text: str) -> dict[str, np.ndarray]:
        read = tokenizer(text, truncation=True, max_length=model.max_seq_length, return_tensors="np")
        return {name: value for name, value in read.items() if name in names}

    texts = pq.read_table(sys.argv[3], columns=["text"])["text"].to_pylist()[:CALIBRATION_TEXTS]
    int8 = nncf.quantize(inner.model, nncf.Dataset(texts, inputs), model_type=nncf.ModelType.TRANSFORMER)
    inner.model = int8
    inner.compile()
    return lambda some: model.encode(list(some), batch_size=BATCH_ROWS)


def sentence_transformers_onnx_pool(checkpoint: Path, cores: int) -> Embed:
    """sentence-transformers with its ONNX backend, dynamic int8 for AVX-512 VNNI, a process a core: its own pool cannot send a
    session to another process, so each loads the model itself."""
    import multiprocessing

    from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model

    export_dynamic_quantized_onnx_model(
        SentenceTransformer(str(checkpoint), backend="onnx", device="cpu"), "avx512_vnni", str(checkpoint)
    )
    pool = multiprocessing.get_context("spawn").Pool(cores, _load_onnx, (str(checkpoint),))

    def embed(texts: Sequence[str]) -> np.ndarray:
        pieces = [list(texts[start : start + PIECE_ROWS]) for start in range(0, len(texts), PIECE_ROWS)]
        return np.concatenate(pool.map(_encode_onnx, pieces, chunksize=1))

    return embed


def _load_onnx(checkpoint: str) -> None:
    import onnxruntime
    from sentence_transformers import SentenceTransformer

    global _model
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    file = {"file_name": ONNX_FILE, "provider": "CPUExecutionProvider", "session_options": options}
    _model = SentenceTransformer(checkpoint, backend="onnx", device="cpu", model_kwargs=file)


def _encode_onnx(texts: list[str]) -> np.ndarray:
    vectors: np.ndarray = _model.encode(texts, batch_size=BATCH_ROWS)
    return vectors


def ctranslate2(checkpoint: Path, cores: int) -> Embed:
    """CTranslate2's encoder in int8: a worker a core, batches of like length, mean pooling by us."""
    import ctranslate2 as engine
    from transformers import AutoTokenizer

    converted = checkpoint / "ctranslate2"
    engine.converters.TransformersConverter(str(checkpoint)).convert(str(converted), quantization="int8", force=True)
    encoder = engine.Encoder(str(converted), inter_threads=cores, intra_threads=1)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    limit = json.loads((checkpoint / "sentence_bert_config.json").read_text())["max_seq_length"]

    def embed(texts: Sequence[str]) -> np.ndarray:
        ids = tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]
        vectors: list[np.ndarray] = [np.zeros(0)] * len(texts)
        for places in like_lengths(ids):
            hidden = encoder.forward_batch([ids[place] for place in places]).last_hidden_state
            for place, states in zip(places, np.asarray(hidden), strict=True):
                mean = states[: len(ids[place])].mean(axis=0)
                vectors[place] = mean / np.linalg.norm(mean)
        return np.stack(vectors)

    return embed


def like_lengths(ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """Places of the texts in batches of like length, whose padded tokens stay under TOKEN_BUDGET."""
    batches: list[list[int]] = []
    for place in sorted(range(len(ids)), key=lambda place: len(ids[place])):
        if not batches or (len(batches[-1]) + 1) * len(ids[place]) > TOKEN_BUDGET:
            batches.append([])
        batches[-1].append(place)
    return batches


PEERS = {
    run.__name__: run for run in (ray_data, daft, sentence_transformers_openvino, sentence_transformers_onnx_pool, ctranslate2)
}


def main() -> int:
    name, given, file, cores = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    texts = pq.read_table(file, columns=["text"])["text"].to_pylist()
    answers, sys.stdout = sys.stdout, sys.stderr  # some of them print
    with tempfile.TemporaryDirectory(prefix=f"peer-{name}-") as folder:
        # A copy without our graphs: some peers would open those, and all write beside the checkpoint.
        checkpoint = Path(shutil.copytree(given, Path(folder) / "checkpoint", ignore=shutil.ignore_patterns("onnx")))
        embed = PEERS[name](checkpoint, cores)
        embed(texts[:WARM_UP_TEXTS])
        print(json.dumps({"ready": name}), file=answers, flush=True)
        for line in sys.stdin:
            asked = texts[::-1] if line.strip() == "reversed" else texts
            started = time.perf_counter()
            vectors = np.asarray(embed(asked), np.float32)
            seconds = time.perf_counter() - started
            ordered = vectors[::-1] if line.strip() == "reversed" else vectors
            digest = hashlib.sha256(np.ascontiguousarray(ordered).tobytes()).hexdigest()
            norms = float(np.abs(np.linalg.norm(ordered, axis=1) - 1).max())
            print(json.dumps({"seconds": seconds, "sha256": digest, "norm_error": norms}), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
