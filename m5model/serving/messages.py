"""Defines the bodies of requests and answers. The OpenAPI document and the checks of requests both come from here."""

import base64
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

Form = Literal["float", "base64"]
AsFloats = Annotated[msgspec.Raw, Meta(description="Numbers, or base64 of little-endian float32")]


class QueriesRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Texts to turn into vectors."""

    texts: Annotated[
        list[Annotated[str, Meta(min_length=1)]],
        Meta(min_length=1, description="Texts as people write them; the bundle's prefix is put before them"),
    ]
    encoding_format: Form = "float"
    dimensions: Annotated[int | None, Meta(description="The first so many dimensions, scaled to unit length")] = None
    truncate: Annotated[bool, Meta(description="If false, a text that the model cannot read whole is refused (413)")] = True
    model: Annotated[str, Meta(description="`m5`, or a bundle's id or a space's id, to be refused by any other")] = "m5"


class EmbeddingsRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """OpenAI's request of embeddings, and `truncate`."""

    input: Annotated[
        str | list[str | int | list[int]],
        Meta(description="A text, a list of texts, the token ids of a text, or a list of those"),
    ]
    model: Annotated[str, Meta(description="`m5`, or a bundle's id or a space's id, to be refused by any other")]
    encoding_format: Form = "float"
    dimensions: int | None = None
    user: str | None = None
    truncate: bool = True


class Usage(Struct, kw_only=True):
    prompt_tokens: int
    total_tokens: int


class QueriesAnswer(Struct, kw_only=True):
    """Vectors in the order of the texts."""

    bundle: str
    space_id: Annotated[str, Meta(description="Vectors of two spaces must not be compared")]
    dimensions: int
    vectors: list[AsFloats]
    token_counts: Annotated[list[int], Meta(description="Tokens that the model read of each text, prefix and ends included")]
    truncated: Annotated[list[int], Meta(description="Positions of texts of which the model read only the beginning")]


class Embedding(Struct, kw_only=True):
    index: int
    embedding: AsFloats
    object: Literal["embedding"] = "embedding"


class EmbeddingsAnswer(Struct, kw_only=True):
    """OpenAI's answer, and `space_id` and `truncated`."""

    data: list[Embedding]
    model: str
    usage: Usage
    space_id: str
    truncated: list[int]
    object: Literal["list"] = "list"


class ModelCard(Struct, kw_only=True):
    """A model as OpenAI lists it, and what a client has to know of its vectors."""

    id: str
    created: int
    space_id: str
    dimensions: int
    prefixes: Annotated[list[int], Meta(description="Numbers of first dimensions that vectors were trained for")]
    max_tokens: int
    prefix: Annotated[str, Meta(description="Is put before every text")]
    same_space: Annotated[list[str], Meta(description="Other spaces that these vectors may be compared with")]
    object: Literal["model"] = "model"
    owned_by: str = "m5"


class ModelList(Struct, kw_only=True):
    data: list[ModelCard]
    object: Literal["list"] = "list"


class State(Struct, kw_only=True):
    status: Literal["ok", "not ready"]
    bundle: str
    space_id: str


class ErrorBody(Struct, kw_only=True):
    message: str
    type: str
    param: str | None
    code: str | None


class Error(Struct, kw_only=True):
    """The body of every answer that is no success, as OpenAI's are."""

    error: ErrorBody


def write_vector(vector_D: np.ndarray, form: Form) -> msgspec.Raw:
    """A vector as JSON. Read as float32, both forms give its bytes."""
    if form == "base64":
        return msgspec.Raw(b'"' + base64.b64encode(vector_D.astype("<f4").tobytes()) + b'"')
    return msgspec.Raw(msgspec.json.encode(vector_D.tolist()))
