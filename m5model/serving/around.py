"""Stands around every path: asks for a key, and counts answers and their time. Plain ASGI, because it runs on every request."""

import time
from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m5model.serving.direct import write_refusal
from m5model.serving.metrics import Metrics
from m5model.serving.refusals import Refusal

# Paths that need no key: an orchestrator asks them, and they say nothing secret.
OPEN_PATHS = frozenset({"/health", "/ready", "/openapi.json", "/docs"})
SCRIPTS = "/docs-files"  # below it lie the scripts and styles of /docs
OTHER = "other"  # what paths that are none are counted as


class Around:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, paths: Collection[str], state: State) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = frozenset(paths) | OPEN_PATHS
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        path = scope["path"]
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def send_and_see(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await (self._app if self._may(scope) else _refuse)(scope, receive, send_and_see)
        finally:
            label = path if path in self._paths else OTHER
            self._metrics.count_request(label, status, time.perf_counter() - began)

    def _may(self, scope: Scope) -> bool:
        path = scope["path"]
        if path in OPEN_PATHS or path.startswith(f"{SCRIPTS}/") or not self._state.keys.are_asked_for:
            return True
        return self._state.keys.accept(dict(scope["headers"]).get(b"authorization"))


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    refusal = Refusal(
        HTTPStatus.UNAUTHORIZED,
        "invalid_api_key",
        "there is no such API key",
        next_step="send the header Authorization: Bearer KEY",
        headers={"www-authenticate": "Bearer"},
    )
    await write_refusal(refusal)(scope, receive, send)
