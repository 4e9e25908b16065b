"""Defines the answers that are no vectors: an HTTP status, and a body in the form of OpenAI's errors."""

import math
from collections.abc import Mapping
from http import HTTPStatus

from schemas.errors import M5Error

# OpenAI's types of errors, by status; clients decide by the status.
_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class Refusal(M5Error):
    """A request that is not answered with vectors. ``code`` is a stable name, ``param`` the field that is at fault."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        *,
        next_step: str = "",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.status = status
        self.code = code
        self.param = param
        self.headers = dict(headers or {})

    def as_json(self) -> dict[str, dict[str, str | None]]:
        kind = "server_error" if self.status >= 500 else _TYPES.get(int(self.status), "invalid_request_error")
        advice = f" What to do: {self.next_step}." if self.next_step else ""
        return {"error": {"message": f"{self.message}.{advice}", "type": kind, "param": self.param, "code": self.code}}


def bad_request(code: str, message: str, *, next_step: str = "", param: str | None = None) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, code, message, next_step=next_step, param=param)


def too_large(code: str, message: str, *, next_step: str, param: str | None = None, is_read: bool = True) -> Refusal:
    """``is_read`` says whether the whole request was read; if not, the connection cannot be used again."""
    headers = {} if is_read else {"connection": "close"}
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, code, message, next_step=next_step, param=param, headers=headers)


def overloaded(message: str, wait_s: float) -> Refusal:
    """429. Retry-After has whole seconds; OpenAI's clients read ``retry-after-ms`` first."""
    headers = {"retry-after": str(max(1, math.ceil(wait_s))), "retry-after-ms": str(max(1, math.ceil(wait_s * 1_000)))}
    return Refusal(
        HTTPStatus.TOO_MANY_REQUESTS,
        "overloaded",
        message,
        next_step="send it again after the time that Retry-After says, or start more processes of the service",
        headers=headers,
    )
