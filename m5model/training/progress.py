"""A line on stderr now and then: step, loss, tokens per second, time left."""

import os
import sys
import time


class Progress:
    """Counts tokens and says how it goes, at most every ``every_seconds`` and at the last step."""

    def __init__(self, label: str, steps: int, first_step: int = 0, every_seconds: float = 5.0) -> None:
        self._label = label
        self._steps = steps
        self._first_step = first_step
        self._every_seconds = every_seconds
        self._started = self._said = time.monotonic()
        self._tokens = 0

    def add(self, step: int, loss: float, tokens: int) -> None:
        """``step`` counts done steps."""
        self._tokens += tokens
        now = time.monotonic()
        if step < self._steps and now - self._said < self._every_seconds:
            return
        self._said = now
        seconds = max(now - self._started, 1e-9)
        left = (self._steps - step) * seconds / max(1, step - self._first_step)
        say(
            f"{self._label}: step {step:,} of {self._steps:,}, loss {loss:.4f}, {self._tokens / seconds:,.0f} tokens/s, "
            f"{left:,.0f} s left"
        )


def say(message: str) -> None:
    """One line on stderr; of several processes that train together only the first one speaks."""
    if os.environ.get("RANK", "0") != "0":
        return
    sys.stderr.write(message + "\n")
    sys.stderr.flush()
