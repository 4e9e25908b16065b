"""Counts what the service does, for Prometheus. With several processes, every answer of /metrics adds up all of them."""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

# Set by m5model.serving.processes before this module is imported.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.035, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one process. Names begin with ``m5_``."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "m5_request_seconds", "Time from a request's head to its answer", ["path"], buckets=SECONDS, registry=registry
        )
        self._requests = Counter("m5_requests", "Answers, by path and status", ["path", "status"], registry=registry)
        self._texts = Counter("m5_texts", "Texts that were asked for", registry=registry)
        self._cached = Counter("m5_texts_cached", "Texts that the cache or the same request had", registry=registry)
        self._truncated = Counter("m5_texts_truncated", "Texts of which the model read only the beginning", registry=registry)
        self._call_texts = Histogram("m5_call_texts", "Texts of a call of the model", buckets=TEXTS, registry=registry)
        self._call_seconds = Histogram("m5_call_seconds", "Time of a call of the model", buckets=SECONDS, registry=registry)
        self._tokens = Counter("m5_tokens", "Tokens that went through the model", registry=registry)
        self._swaps = Counter("m5_swaps", "Changes of the model", ["outcome"], registry=registry)
        self._waiting = Gauge(
            "m5_texts_waiting", "Texts that wait for the model", registry=registry, multiprocess_mode="livesum"
        )
        self._model = Gauge(
            "m5_model",
            "1 for the bundle that is served",
            ["bundle", "space_id"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._shown: tuple[str, str] | None = None

    def count_request(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def count_texts(self, texts: int, cached: int) -> None:
        self._texts.inc(texts)
        self._cached.inc(cached)

    def count_truncated(self, texts: int) -> None:
        self._truncated.inc(texts)

    def count_call(self, texts: int, tokens: int, seconds: float) -> None:
        self._call_texts.observe(texts)
        self._call_seconds.observe(seconds)
        self._tokens.inc(tokens)

    def count_swap(self, *, is_done: bool) -> None:
        self._swaps.labels("done" if is_done else "failed").inc()

    def show_model(self, bundle: str, space_id: str) -> None:
        """Say which bundle is served."""
        if self._shown:
            self._model.labels(*self._shown).set(0)
        self._shown = (bundle, space_id)
        self._model.labels(bundle, space_id).set(1)

    def render(self, waiting: int) -> bytes:
        """The metrics in Prometheus' text format; ``waiting`` is the number of texts that wait in this process."""
        self._waiting.set(waiting)
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)
