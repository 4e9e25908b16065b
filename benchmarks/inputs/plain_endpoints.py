"""Is what a good engineer writes in ten minutes: a model behind a FastAPI endpoint, without a queue, batches or bounds.

    python benchmarks/inputs/plain_endpoints.py onnx BUNDLE PORT                    # M5's int8 engine
    python benchmarks/inputs/plain_endpoints.py sentence-transformers BUNDLE PORT   # torch, fp32

Endpoints are plain functions, which FastAPI runs in its threads, on the same uvicorn, loop and parser as ``m5 serve``.
"""

import os
import sys
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Queries(BaseModel):
    texts: list[str]


class Vectors(BaseModel):
    vectors: list[list[float]]


def load(kind: str, bundle: str) -> Callable[[list[str]], list[list[float]]]:
    """A function from texts to vectors, which may use all cores."""
    cores = len(os.sched_getaffinity(0))
    if kind == "onnx":
        import m5model

        encoder = m5model.load(bundle, threads=cores)
        return lambda texts: encoder.encode(texts).tolist()
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(cores)
    model = SentenceTransformer(bundle, device="cpu")
    return lambda texts: model.encode(texts, show_progress_bar=False).tolist()


def main() -> None:
    kind, bundle, port = sys.argv[1:]
    app = FastAPI()
    encode = load(kind, bundle)

    @app.post("/encode")
    def encode_texts(queries: Queries) -> Vectors:
        return Vectors(vectors=encode(queries.texts))

    @app.get("/ready")
    def ready() -> str:
        return "ok"

    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
