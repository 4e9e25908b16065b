"""The OpenAPI document of the service, made from the messages that it reads and writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from m5model import __version__
from m5model.serving.messages import (
    EmbeddingsAnswer,
    EmbeddingsRequest,
    Error,
    ModelCard,
    ModelList,
    QueriesAnswer,
    QueriesRequest,
    State,
)

Json = dict[str, Any]  # a part of the document; its shape is OpenAPI's
REFERENCE = "#/components/schemas/{name}"
VECTOR = {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string", "contentEncoding": "base64"}]}
_ASKED = (400, 401, 404, 408, 413, 415, 429)


@dataclass(frozen=True, kw_only=True)
class Path:
    """Describes what a path does, takes and answers."""

    method: str
    summary: str
    takes: type | None = None
    gives: type | None = None  # None: plain text
    refuses: tuple[int, ...] = ()
    needs_key: bool = True
    parameters: tuple[str, ...] = ()


PATHS: Mapping[str, Path] = {
    "/v1/queries:encode": Path(
        method="post", summary="Vectors of texts", takes=QueriesRequest, gives=QueriesAnswer, refuses=_ASKED
    ),
    "/v1/embeddings": Path(
        method="post",
        summary="Vectors as OpenAI's clients ask for them",
        takes=EmbeddingsRequest,
        gives=EmbeddingsAnswer,
        refuses=_ASKED,
    ),
    "/v1/models": Path(method="get", summary="The model that is served", gives=ModelList, refuses=(401,)),
    "/v1/models/{name}": Path(
        method="get", summary="The model, by one of its names", gives=ModelCard, refuses=(401, 404), parameters=("name",)
    ),
    "/health": Path(method="get", summary="Does the process work?", gives=State, refuses=(503,), needs_key=False),
    "/ready": Path(method="get", summary="May requests be sent here?", gives=State, refuses=(503,), needs_key=False),
    "/metrics": Path(method="get", summary="Prometheus metrics", refuses=(401,)),
}


@cache
def describe(title: str) -> Json:
    """The whole document."""
    kinds = [kind for path in PATHS.values() for kind in (path.takes, path.gives) if kind] + [Error]
    _, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    components["QueriesAnswer"]["properties"]["vectors"]["items"] = VECTOR
    components["Embedding"]["properties"]["embedding"] = VECTOR
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__},
        "paths": {name: {path.method: _operation(path)} for name, path in PATHS.items()},
        "components": {"schemas": components, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(path: Path) -> Json:
    answers = {"200": _content("Done", path.gives)}
    answers |= {str(status): _content(HTTPStatus(status).phrase, State if status == 503 else Error) for status in path.refuses}
    operation: Json = {"summary": path.summary, "responses": answers}
    if path.takes:
        operation["requestBody"] = {"required": True, **_content("", path.takes)}
        del operation["requestBody"]["description"]
    if path.parameters:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in path.parameters
        ]
    if path.needs_key:
        operation["security"] = [{}, {"key": []}]
    return operation


def _content(description: str, kind: type | None) -> Json:
    if kind is None:
        return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}
    schema = {"$ref": REFERENCE.format(name=kind.__name__)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
