"""Shapes vectors into answers: as many dimensions as were asked for, in the form that was asked for."""

import asyncio
from datetime import datetime
from http import HTTPStatus

import msgspec
import numpy as np

from m5model.serving.messages import (
    Embedding,
    EmbeddingsAnswer,
    Form,
    ModelCard,
    QueriesAnswer,
    Usage,
    write_vector,
)
from m5model.serving.refusals import Refusal, bad_request
from m5model.serving.served_model import ServedModel
from m5model.serving.service import Vectors

# Vectors that are written before others get their turn in the event loop: about half a millisecond.
VECTORS_A_TURN = 16


def require_model(model: ServedModel, name: str) -> None:
    """Raise Refusal (404) where ``name`` is not what is served."""
    if name not in model.names:
        raise Refusal(
            HTTPStatus.NOT_FOUND,
            "model_not_found",
            f"the model {name[:100]!r} is not served here; {model.manifest.id} is, space {model.encoder.space_id}",
            next_step=f"ask for one of {', '.join(model.names)}",
            param="model",
        )


def require_dimensions(model: ServedModel, dimensions: int | None) -> int:
    """Dimensions to answer with. Raises Refusal (400) for a number that the vectors were not trained for."""
    allowed = (*model.prefixes, model.encoder.dimensions)
    if dimensions is None:
        return model.encoder.dimensions
    if dimensions not in allowed:
        raise bad_request(
            "invalid_dimensions",
            f"dimensions is {dimensions}; the vectors of {model.manifest.id} were trained for {', '.join(map(str, allowed))}",
            next_step="ask for one of these, or leave dimensions out",
            param="dimensions",
        )
    return dimensions


async def write_queries(vectors: Vectors, dimensions: int, form: Form) -> bytes:
    return msgspec.json.encode(
        QueriesAnswer(
            bundle=vectors.model.manifest.id,
            space_id=vectors.model.encoder.space_id,
            dimensions=dimensions,
            vectors=await _write_all(vectors.vectors_BD, dimensions, form),
            token_counts=vectors.tokens_B,
            truncated=vectors.truncated,
        )
    )


async def write_embeddings(vectors: Vectors, dimensions: int, form: Form) -> bytes:
    written = await _write_all(vectors.vectors_BD, dimensions, form)
    tokens = sum(vectors.tokens_B)
    return msgspec.json.encode(
        EmbeddingsAnswer(
            data=[Embedding(index=row, embedding=vector) for row, vector in enumerate(written)],
            model=vectors.model.manifest.id,
            usage=Usage(prompt_tokens=tokens, total_tokens=tokens),
            space_id=vectors.model.encoder.space_id,
            truncated=vectors.truncated,
        )
    )


def card_of(model: ServedModel) -> ModelCard:
    return ModelCard(
        id=model.manifest.id,
        created=int(datetime.fromisoformat(model.manifest.created_at).timestamp()),
        space_id=model.encoder.space_id,
        dimensions=model.encoder.dimensions,
        prefixes=list(model.prefixes),
        max_tokens=model.encoder.max_tokens,
        prefix=model.encoder.rendering.prefix,
        same_space=[one.space_id for one in model.encoder.same_space],
    )


def cut_vectors(vectors_BD: np.ndarray, dimensions: int) -> np.ndarray:
    """The first ``dimensions`` of each vector, scaled to unit length; whole vectors keep their bytes."""
    if dimensions == vectors_BD.shape[1]:
        return vectors_BD
    cut_BP = vectors_BD[:, :dimensions]
    return cut_BP / np.maximum(np.linalg.norm(cut_BP, axis=1, keepdims=True), np.finfo(np.float32).tiny)


async def _write_all(vectors_BD: np.ndarray, dimensions: int, form: Form) -> list[msgspec.Raw]:
    cut_BP = cut_vectors(vectors_BD, dimensions)
    written = []
    for row, vector_P in enumerate(cut_BP):
        if row and row % VECTORS_A_TURN == 0:
            await asyncio.sleep(0)
        written.append(write_vector(vector_P, form))
    return written
