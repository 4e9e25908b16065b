"""Ends connections of clients that hang: uvicorn's own protocol waits for a request's head, and for readers, for ever."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from m5model.serving.limits import Limits

MAX_HEAD_BYTES = 65_536  # first line and headers


class Connection(HttpToolsProtocol):
    """A connection of HTTP/1.1 with bounds that uvicorn lacks; ``bounded_by`` makes the class for some limits."""

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._head_timer = _Timer(self.loop, self.limits.head_s, transport.abort)
        self._read_timer = _Timer(self.loop, self.limits.read_s, transport.abort)
        self._head_bytes = 0
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.abort()
        self._head_timer.start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_timer.stop()
        self._read_timer.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_timer.runs:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._head_timer.start()

    def on_headers_complete(self) -> None:
        self._head_timer.stop()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_timer.start()

    def resume_writing(self) -> None:
        self._read_timer.stop()
        super().resume_writing()


class _Timer:
    """Calls ``action`` a while after the first start, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, action: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._action = action
        self._handle: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        return self._handle is not None

    def start(self) -> None:
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, self._action)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def bounded_by(limits: Limits) -> type[Connection]:
    """The class of connections with these limits, as uvicorn's configuration takes it."""
    members: dict[str, Any] = {"limits": limits}
    return type("BoundedConnection", (Connection,), members)
