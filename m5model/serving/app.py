"""The HTTP side of the service: paths, what they take and answer, and what stands around them."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.responses import Response
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import Request

from m5model.serving.answers import card_of, require_dimensions, require_model, write_embeddings, write_queries
from m5model.serving.around import SCRIPTS, Around
from m5model.serving.direct import JSON, Direct, Endpoint, write_refusal
from m5model.serving.keys import ApiKeys
from m5model.serving.leaving import while_connected
from m5model.serving.messages import EmbeddingsRequest, ModelList, QueriesRequest, State
from m5model.serving.openapi import PATHS, describe
from m5model.serving.reading import read_body
from m5model.serving.refusals import Refusal
from m5model.serving.served_model import ServedModel
from m5model.serving.service import Service, Vectors
from m5model.serving.texts import Item

# Requests of so few texts are done before one could notice that the client has gone.
FEW_TEXTS = 8
SPACE_HEADER = "x-m5-space-id"


def build_app(service: Service, keys: ApiKeys) -> FastAPI:
    """The application around ``service``; who has none of ``keys`` is refused."""
    # /docs has its scripts from here: the service needs no internet, and neither do its readers.
    app = FastAPIOffline(
        title="M5 query encoder", openapi_url="/openapi.json", docs_url="/docs", redoc_url=None, static_url=SCRIPTS
    )
    app.state.keys = keys
    app.openapi = lambda: describe(app.title)  # type: ignore[method-assign]
    for error in (Refusal, HTTPException, Exception):
        app.add_exception_handler(error, _write_error)
    busy = _busy_paths(service)
    for (method, path), endpoint in busy.items():
        _route(app, method, path)(endpoint)
    _add_state(app, service)
    app.add_middleware(Direct, endpoints=busy)
    app.add_middleware(Around, metrics=service.metrics, paths=PATHS, state=app.state)
    return app


def _busy_paths(service: Service) -> dict[tuple[str, str], Endpoint]:
    """The endpoints that answer with vectors, by method and path."""

    async def encode_queries(request: Request) -> Response:
        asked = await read_body(request, QueriesRequest, service.limits)
        model, dimensions = _choose(service, asked)
        work = service.encode(model, asked.texts, field="texts", may_truncate=asked.truncate)
        vectors = await _wait_for(work, request, len(asked.texts))
        return _answer(await write_queries(vectors, dimensions, asked.encoding_format), model.encoder.space_id)

    async def embed(request: Request) -> Response:
        asked = await read_body(request, EmbeddingsRequest, service.limits)
        model, dimensions = _choose(service, asked)
        items = as_items(asked.input)
        work = service.encode(model, items, field="input", may_truncate=asked.truncate)
        vectors = await _wait_for(work, request, len(items))
        return _answer(await write_embeddings(vectors, dimensions, asked.encoding_format), model.encoder.space_id)

    return {("POST", "/v1/queries:encode"): encode_queries, ("POST", "/v1/embeddings"): embed}


def _choose(service: Service, asked: QueriesRequest | EmbeddingsRequest) -> tuple[ServedModel, int]:
    """The model that answers, and in how many dimensions. Raises Refusal where it is not what the request asks for."""
    model = service.model
    require_model(model, asked.model)
    return model, require_dimensions(model, asked.dimensions)


async def _wait_for(work: Coroutine[Any, Any, Vectors], request: Request, texts: int) -> Vectors:
    """The vectors; many texts are not computed for a client that has left."""
    return await (work if texts <= FEW_TEXTS else while_connected(request, work))


def _add_state(app: FastAPI, service: Service) -> None:
    @_route(app, "GET", "/health")
    async def health(request: Request) -> Response:
        return _state(service, is_good=service.is_healthy)

    @_route(app, "GET", "/ready")
    async def ready(request: Request) -> Response:
        return _state(service, is_good=service.is_healthy and not service.is_stopping)

    @_route(app, "GET", "/metrics")
    async def metrics(request: Request) -> Response:
        return Response(service.metrics.render(service.waiting), media_type="text/plain; version=0.0.4; charset=utf-8")

    @_route(app, "GET", "/v1/models")
    async def models(request: Request) -> Response:
        model = service.model
        return _answer(msgspec.json.encode(ModelList(data=[card_of(model)])), model.encoder.space_id)

    @_route(app, "GET", "/v1/models/{name}")
    async def one_model(request: Request) -> Response:
        model = service.model
        require_model(model, request.path_params["name"])
        return _answer(msgspec.json.encode(card_of(model)), model.encoder.space_id)


def _route(app: FastAPI, method: str, path: str) -> Callable[[Endpoint], Endpoint]:
    """A route of Starlette, on which FastAPI stands: messages.py and openapi.py do what FastAPI's own routes would, in less
    time."""

    def add(endpoint: Endpoint) -> Endpoint:
        app.add_route(path, endpoint, methods=[method])
        return endpoint

    return add


def as_items(given: str | list[str | int | list[int]]) -> list[Item]:
    """The texts or token ids of OpenAI's ``input``: one text, one list of ids, or a list of either."""
    if isinstance(given, str):
        return [given]
    if given and all(isinstance(entry, int) for entry in given):
        return [given]  # type: ignore[list-item]
    lone = next((row for row, entry in enumerate(given) if isinstance(entry, int)), None)
    if lone is not None:
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            "invalid_request",
            f"input[{lone}] is a number among texts or lists",
            next_step="give texts, or lists of token ids",
            param=f"input[{lone}]",
        )
    return given  # type: ignore[return-value]


def _answer(content: bytes, space_id: str) -> Response:
    return Response(content, media_type=JSON, headers={SPACE_HEADER: space_id})


def _state(service: Service, *, is_good: bool) -> Response:
    model = service.model
    state = State(status="ok" if is_good else "not ready", bundle=model.manifest.id, space_id=model.encoder.space_id)
    status = HTTPStatus.OK if is_good else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(msgspec.json.encode(state), status_code=status, media_type=JSON)


async def _write_error(request: Request, error: Exception) -> Response:
    """Every error in OpenAI's form. Of one that nobody foresaw, a client sees nothing but that it happened."""
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        error = Refusal(
            status,
            status.name.lower(),
            f"{request.method} {request.url.path[:200]}: {status.phrase.lower()}",
            headers=error.headers,
        )
    if not isinstance(error, Refusal):
        error = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "the service failed; its log says why")
    return write_refusal(error)
