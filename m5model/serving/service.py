"""The service itself, without HTTP: texts come in, vectors go out, and the model can be replaced meanwhile.

A request keeps the model that it began with. So a swap loses nothing: requests that came before it are answered by the old
model, those that come after it by the new one, and every answer says which space it is of. Everything here runs in one event
loop; the workers' threads only compute.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from m5model.serving.limits import Limits
from m5model.serving.metrics import Metrics
from m5model.serving.refusals import bad_request, overloaded, too_large
from m5model.serving.served_model import Reference, ServedModel, names_another, open_model
from m5model.serving.texts import Item, Row, as_keys, as_rows, loses_characters
from m5model.serving.vector_cache import Kept, Key
from m5model.serving.workers import Job, Workers
from schemas.errors import M5Error

log = logging.getLogger(__name__)

# Tokenising so many characters takes about a millisecond; more of them are tokenised beside the event loop.
INLINE_CHARACTERS = 4_096
# Requests with that many characters that may wait to be tokenised.
LONG_REQUESTS = 8


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """The vectors of one request, and what they are of."""

    model: ServedModel
    vectors_BD: np.ndarray  # float32, unit length
    tokens_B: list[int]  # that the model read of each text
    truncated: list[int]  # rows of texts that were cut


class Service:
    """One process's model, queue and threads. Made inside the event loop that it serves."""

    def __init__(self, reference: Reference, model: ServedModel, *, threads: int, limits: Limits, metrics: Metrics) -> None:
        self.limits = limits
        self.metrics = metrics
        self._reference = reference
        self._model = model
        self._workers = Workers(
            threads, call_tokens=limits.call_tokens, wait_ms=limits.wait_ms, queued_texts=limits.queued_texts
        )
        self._workers.on_call = metrics.count_call
        self._tokenizers = ThreadPoolExecutor(1, thread_name_prefix="m5-tokenize")
        self._long_requests = 0
        self._reloading = asyncio.Lock()
        self.is_stopping = False
        metrics.show_model(model.manifest.id, model.encoder.space_id)

    @property
    def model(self) -> ServedModel:
        """The model that a request which comes now is answered with."""
        return self._model

    @property
    def is_healthy(self) -> bool:
        return self._workers.are_alive

    @property
    def waiting(self) -> int:
        return self._workers.waiting

    async def encode(self, model: ServedModel, items: Sequence[Item], *, field: str, may_truncate: bool) -> Vectors:
        """Unit vectors of the items, in their order. ``field`` is what errors call the list of them.

        Raises Refusal: 400 or 413 naming the row of an item that is not taken, 429 where the request would wait too long.
        """
        self._check_number(len(items), field)
        keys = list(as_keys(items, model.encoder, self.limits.characters, field))
        known: dict[Key, Kept] = {}
        missing: dict[Key, int] = {}  # to the first row of each
        for row, key in enumerate(keys):
            if key not in known and key not in missing:
                kept = model.cache.get(key)
                if kept is None:
                    missing[key] = row
                else:
                    known[key] = kept
        self.metrics.count_texts(len(items), len(items) - len(missing))
        if missing:
            known |= await self._compute(model, missing, field)
        found = [known[key] for key in keys]
        truncated = [
            row
            for row, (item, kept) in enumerate(zip(items, found, strict=True))
            if kept.is_truncated or loses_characters(item, model.encoder)
        ]
        if truncated and not may_truncate:
            raise _truncation_refused(model, truncated, field)
        self.metrics.count_truncated(len(truncated))
        vectors_BD = np.stack([kept.vector_D for kept in found])
        return Vectors(model=model, vectors_BD=vectors_BD, tokens_B=[kept.tokens for kept in found], truncated=truncated)

    async def reload(self) -> bool:
        """Open what the reference names now and serve it from then on; True where it is another bundle.

        Where it cannot be opened, the present model stays, and the reason is logged.
        """
        async with self._reloading:
            try:
                if not await asyncio.to_thread(names_another, self._reference, self._model):
                    return False
                model = await asyncio.to_thread(open_model, self._reference, self.limits.cache_mb)
            except (M5Error, OSError) as error:
                self.metrics.count_swap(is_done=False)
                log.error("the model stays %s: %s", self._model.manifest.id, error)
                return False
            before, self._model = self._model, model
            self.metrics.count_swap(is_done=True)
            self.metrics.show_model(model.manifest.id, model.encoder.space_id)
            log.warning("serving %s, space %s; before: %s", model.manifest.id, model.encoder.space_id, before.manifest.id)
            return True

    def close(self) -> None:
        self._workers.close()
        self._tokenizers.shutdown(wait=False, cancel_futures=True)

    def _check_number(self, texts: int, field: str) -> None:
        if not texts:
            raise bad_request("no_texts", f"{field} is empty", next_step="give at least one text", param=field)
        if texts > self.limits.texts:
            raise too_large(
                "too_many_texts",
                f"{field} has {texts:,} entries, at most {self.limits.texts:,} are taken",
                next_step="send them in several requests",
                param=field,
            )

    async def _compute(self, model: ServedModel, missing: Mapping[Key, int], field: str) -> dict[Key, Kept]:
        """The vectors of texts that the cache lacks; they are in it afterwards."""
        rows = await self._tokenize(model, list(missing))
        job = await self._run(model, rows)
        if job.failures:
            place, reason = min(job.failures.items())
            where = f"{field}[{list(missing.values())[place]}]"
            raise bad_request(
                "model_failed", f"{where}: the model fails on it: {reason}", next_step="leave it out", param=where
            )
        made = {
            key: Kept(vector_D.copy(), len(row.ids_L), row.is_truncated)
            for key, row, vector_D in zip(missing, rows, job.vectors_BD, strict=True)
        }
        for key, kept in made.items():
            model.cache.put(key, kept)
        return made

    async def _tokenize(self, model: ServedModel, keys: list[Key]) -> list[Row]:
        if sum(map(len, keys)) <= INLINE_CHARACTERS:
            return as_rows(keys, model.encoder)
        if self._long_requests >= LONG_REQUESTS:
            raise overloaded(f"{LONG_REQUESTS} long requests wait to be tokenised", 1.0)
        self._long_requests += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._tokenizers, as_rows, keys, model.encoder)
        finally:
            self._long_requests -= 1

    async def _run(self, model: ServedModel, rows: list[Row]) -> Job:
        """Queue the rows and wait for their vectors; where the caller stops waiting, what is left of them is dropped."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        def finish_from_thread() -> None:
            loop.call_soon_threadsafe(finish)

        job = Job.of(model.encoder, len(rows), finish_from_thread)
        self._workers.submit(job, [row.ids_L for row in rows])
        try:
            await done
        except asyncio.CancelledError:
            self._workers.drop(job)
            raise
        return job


def _truncation_refused(model: ServedModel, truncated: list[int], field: str) -> M5Error:
    return too_large(
        "text_truncated",
        f"{field}[{truncated[0]}] is longer than what the model reads: {model.encoder.max_tokens} tokens of "
        f"{model.encoder.rendering.max_characters:,} characters at most",
        next_step="cut it, or allow truncation",
        param=f"{field}[{truncated[0]}]",
    )
