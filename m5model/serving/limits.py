"""Says what one process of the service takes on: sizes of requests, how long they may wait, how long clients may take."""

from dataclasses import dataclass

from schemas.checks import is_number, is_whole, require

MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one process. Raises ConfigurationError listing all that are no bounds."""

    body_bytes: int = 4 * MEGABYTE  # of a request; 413 above
    texts: int = 2_048  # of a request, as OpenAI's endpoint has it; 413 above
    characters: int = 32_768  # of one text; 413 above. What the model cannot read of it is cut, and reported
    queued_texts: int = 4_096  # waiting for the model; 429 above
    wait_ms: float = 25.0  # that a request may have to wait for others before it gets 429 instead
    call_tokens: int = 128  # of one call of the model: a long call would keep short requests waiting
    cache_mb: int = 64  # of vectors of frequent texts; 0: none
    head_s: float = 10.0  # that a client may take to send a request's first line and headers
    body_s: float = 10.0  # that it may take to send the body
    read_s: float = 30.0  # that it may leave an answer unread
    idle_s: float = 75.0  # that a connection may stay open between requests
    stop_s: float = 30.0  # that requests may take to end when the service is stopped
    connections: int = 4_096  # open at once

    def __post_init__(self) -> None:
        whole = {name: getattr(self, name) for name in ("body_bytes", "texts", "characters", "queued_texts", "call_tokens")}
        whole["connections"] = self.connections
        seconds = {name: getattr(self, name) for name in ("head_s", "body_s", "read_s", "idle_s", "stop_s")}
        rules = {f"{name} is {value}, expected 1 or more": is_whole(value, 1) for name, value in whole.items()}
        rules |= {f"{name} is {value}, expected more than 0": is_number(value, 1e-3) for name, value in seconds.items()}
        rules |= {f"wait_ms is {self.wait_ms}, expected 0 or more": is_number(self.wait_ms, 0)}
        rules |= {f"cache_mb is {self.cache_mb}, expected 0 or more": is_whole(self.cache_mb)}
        require("limits of the service", rules)
