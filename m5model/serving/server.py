"""One process of the service: opens the model, answers until it is told to stop, takes a new model at SIGHUP."""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

import uvicorn
import uvloop

from m5model.bundles.find import open_bundle
from m5model.runtime.encoder import read_model, require_comparable
from m5model.serving.app import build_app
from m5model.serving.connections import bounded_by
from m5model.serving.keys import ApiKeys
from m5model.serving.limits import Limits
from m5model.serving.metrics import Metrics
from m5model.serving.served_model import Reference, ServedModel, open_model
from m5model.serving.service import Service
from schemas.checks import is_number, is_whole, require
from schemas.errors import M5Error

log = logging.getLogger(__name__)

# A thread that holds the interpreter hands it over after this time, not after Python's 5 ms: a vector that is ready does not
# wait for an answer that is being written.
SWITCH_INTERVAL_S = 0.0005


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Holds what the flags of ``m5 serve`` say; the same for all processes. Raises ConfigurationError for broken ones."""

    reference: Reference
    threads: int  # of one process, that compute side by side
    limits: Limits = field(default_factory=Limits)
    keys_file: str | None = None  # API keys, one a line; None: everybody may ask
    watch_s: float = 0.0  # how often the reference is looked up; 0: only at SIGHUP

    def __post_init__(self) -> None:
        rules = {
            f"threads is {self.threads}, expected 1 or more": is_whole(self.threads, 1),
            f"watch_s is {self.watch_s}, expected 0 or more": is_number(self.watch_s, 0),
        }
        require("settings of the service", rules)


def serve(settings: Settings, listening: socket.socket) -> None:
    """Answer on ``listening`` until SIGTERM or SIGINT; requests that are there are answered first.

    Raises ConfigurationError or DamagedFileError where the bundle or the keys cannot be opened.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads would take the cores of the workers
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    logging.getLogger("uvicorn.error").setLevel(
        logging.ERROR
    )  # it warns of every malformed request: anybody could fill the log
    _allow_many_files()
    keys = ApiKeys.read(settings.keys_file)
    model = open_model(settings.reference, settings.limits.cache_mb)
    _spare_collections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_answer(settings, keys, model, listening))


def check(settings: Settings) -> None:
    """Raise what ``open_model`` raises, and ConfigurationError where the keys cannot be opened. Loads no model."""
    ApiKeys.read(settings.keys_file)
    folder, manifest = open_bundle(settings.reference.find())
    model = read_model(folder, manifest, settings.reference.precision)
    require_comparable(model, *filter(None, (settings.reference.space,)))


async def _answer(settings: Settings, keys: ApiKeys, model: ServedModel, listening: socket.socket) -> None:
    service = Service(settings.reference, model, threads=settings.threads, limits=settings.limits, metrics=Metrics())
    app = build_app(service, keys)
    server = _Server(_uvicorn_config(app, settings.limits), service)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when it is done: that must not kill the process
        signal.signal(number, server.handle_exit)

    async def reload() -> None:
        await service.reload()
        app.state.keys = _read_keys(settings, app.state.keys)

    tasks: set[asyncio.Task[None]] = set()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: tasks.add(asyncio.create_task(reload())))
    if settings.watch_s:
        tasks.add(asyncio.create_task(_watch(service, settings.watch_s)))
    host, port = listening.getsockname()[:2]
    log.warning("listening on http://%s:%s", f"[{host}]" if ":" in host else host, port)
    log.warning("serving %s, space %s", model.manifest.id, model.encoder.space_id)
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in tasks:
            task.cancel()
        service.close()


class _Server(uvicorn.Server):
    """uvicorn's server, which tells the service that it stops."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.is_stopping = True
        super().handle_exit(sig, frame)


def _uvicorn_config(app: object, limits: Limits) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=bounded_by(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=limits.idle_s,  # type: ignore[arg-type]  # it goes to call_later, which takes parts of seconds
        timeout_graceful_shutdown=max(1, int(limits.stop_s)),
    )


async def _watch(service: Service, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await service.reload()


def _read_keys(settings: Settings, before: ApiKeys) -> ApiKeys:
    """The keys as the file has them now; those of ``before`` where it cannot be read."""
    try:
        return ApiKeys.read(settings.keys_file)
    except M5Error as error:
        log.error("the API keys stay as they are: %s", error)
        return before


def _spare_collections() -> None:
    """Keep what was loaded out of garbage collections: one of everything takes tens of milliseconds, and finds nothing."""
    gc.collect()
    gc.freeze()


def _allow_many_files() -> None:
    """Every connection is an open file; systems allow more of them than they give at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
