"""Stops the work for a client that has gone away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from m5model.serving.refusals import Refusal, bad_request

Result = TypeVar("Result")


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``, which is cancelled where the client goes away first. The body must have been read.

    Raises Refusal then, for the log: nobody reads it.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())  # behind the body, only "disconnected" comes
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _gone()
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


def _gone() -> Refusal:
    return bad_request("disconnected", "the client went away before its answer was ready")
