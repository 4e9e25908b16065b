"""Reads the body of a request, within bounds of size and time, and checks it."""

import asyncio
from http import HTTPStatus
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from m5model.serving.limits import Limits
from m5model.serving.refusals import Refusal, bad_request, too_large

Body = TypeVar("Body")


async def read_body(request: Request, kind: type[Body], limits: Limits) -> Body:
    """The body as a ``kind``. Raises Refusal: 400, 408, 413 or 415."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            f"the content type is {content_type[:60]!r}, expected application/json",
            next_step="send JSON, and say so in the header content-type",
        )
    content = await _read(request, limits)
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise bad_request(
            "invalid_request", str(error), next_step="see /docs for what is expected", param=_param(error)
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request("invalid_json", f"the body is no JSON: {error}", next_step="send one JSON object in UTF-8") from error


async def _read(request: Request, limits: Limits) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.body_bytes:
        raise _too_large(limits, f"{int(declared):,} bytes")
    content = bytearray()
    try:
        async with asyncio.timeout(limits.body_s):
            async for chunk in request.stream():
                content += chunk
                if len(content) > limits.body_bytes:
                    raise _too_large(limits, "more")
    except TimeoutError as error:
        raise Refusal(
            HTTPStatus.REQUEST_TIMEOUT,
            "body_too_slow",
            f"the body did not come within {limits.body_s:g} s",
            headers={"connection": "close"},
        ) from error
    except ClientDisconnect as error:
        raise bad_request("disconnected", "the client went away before it had sent its request") from error
    return bytes(content)


def _too_large(limits: Limits, found: str) -> Refusal:
    return too_large(
        "body_too_large",
        f"the body has {found}, at most {limits.body_bytes:,} bytes are taken",
        next_step="send the texts in several requests",
        is_read=False,
    )


def _param(error: msgspec.ValidationError) -> str | None:
    """The field that msgspec names, as ``texts[3]``."""
    _, found, path = str(error).rpartition(" - at `$.")
    return path.rstrip("`") if found else None
