"""How executors fill calls of the engine: numbers alone, without onnxruntime."""

from m5model.runtime.batching import DEFAULT_TOKEN_BUDGET


def rows_of_a_call(length: int) -> int:
    """Texts of so many tokens that one call holds, as m5model.runtime.batching fills calls."""
    return max(1, DEFAULT_TOKEN_BUDGET // length)
