"""m5 serve [BUNDLE]: vectors of queries over HTTP, on one port, from one or several processes."""

import argparse
import logging
import os
from typing import TYPE_CHECKING

from m5model.commands._bundle import add_space, find_space
from schemas.errors import ConfigurationError
from schemas.flags import MAX_THREADS, number, whole_number

if TYPE_CHECKING:
    from m5model.serving.server import Settings

SUMMARY = "answer with vectors over HTTP: POST /v1/queries:encode, and /v1/embeddings as OpenAI's clients ask"
DESCRIPTION = """\
Serves the vectors of a bundle over HTTP. The API is described at /docs and /openapi.json; /health, /ready and /metrics say how
it is. SIGHUP looks BUNDLE up again and swaps the model if it is another one now, without losing a request; SIGTERM stops when
the requests that are there have been answered. It listens on loopback only, unless --host says otherwise."""
MAX_PORT = 65_535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "bundle",
        metavar="BUNDLE",
        nargs="?",
        help="its id in the workspace, or its path, or a symlink to it; else the newest student",
    )
    parser.add_argument("--workspace", help="where ids are looked up (default: $M5_WORKSPACE, else ./workspace)")
    add_space(parser)
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8", help="which graph runs (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: %(default)s)")
    parser.add_argument("--port", type=whole_number(0, MAX_PORT), default=8321, help="0: any free one (default: %(default)s)")
    parser.add_argument(
        "--processes",
        type=whole_number(1, MAX_THREADS),
        default=1,
        help="each with its own model, on one port (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=whole_number(0, MAX_THREADS),
        default=0,
        help="of a process, that compute; 0: the cores, divided by processes",
    )
    parser.add_argument("--api-keys-file", metavar="FILE", help="keys, one a line; everybody may ask otherwise")
    parser.add_argument(
        "--watch", type=number(0), default=0.0, metavar="SECONDS", help="look BUNDLE up again that often; 0: at SIGHUP only"
    )
    _add_limits(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits of a process")
    group.add_argument(
        "--queue", type=whole_number(1), default=4_096, metavar="TEXTS", help="that may wait; 429 above (default: %(default)s)"
    )
    group.add_argument(
        "--wait-ms",
        type=number(0),
        default=25.0,
        metavar="MS",
        help="that a request may wait for others; 429 above (default: %(default)s)",
    )
    group.add_argument(
        "--max-texts", type=whole_number(1), default=2_048, help="of a request; 413 above (default: %(default)s)"
    )
    group.add_argument(
        "--max-characters", type=whole_number(1), default=32_768, help="of a text; 413 above (default: %(default)s)"
    )
    group.add_argument(
        "--max-body-bytes", type=whole_number(1), default=4 << 20, help="of a request; 413 above (default: %(default)s)"
    )
    group.add_argument(
        "--cache-mb", type=whole_number(0), default=64, help="vectors of frequent texts; 0: none (default: %(default)s)"
    )
    group.add_argument(
        "--client-s",
        type=number(0.001),
        default=10.0,
        metavar="SECONDS",
        help="a client may take for a request's head, and for its body (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    try:
        from m5model.serving import processes, server
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the service needs the package {error.name}", next_step="install the extra: pip install 'm5[serve]'"
        ) from error
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    settings = _settings(arguments)
    listening = processes.listen(arguments.host, arguments.port)
    if arguments.processes == 1:
        server.serve(settings, listening)
    else:
        processes.serve_together(settings, listening, arguments.processes)


def _settings(arguments: argparse.Namespace) -> "Settings":
    from m5model.serving.limits import Limits
    from m5model.serving.served_model import Reference
    from m5model.serving.server import Settings

    cores = len(os.sched_getaffinity(0))
    limits = Limits(
        body_bytes=arguments.max_body_bytes,
        texts=arguments.max_texts,
        characters=arguments.max_characters,
        queued_texts=arguments.queue,
        wait_ms=arguments.wait_ms,
        cache_mb=arguments.cache_mb,
        head_s=arguments.client_s,
        body_s=arguments.client_s,
    )
    return Settings(
        reference=Reference(
            workspace=arguments.workspace,
            bundle=arguments.bundle,
            precision=arguments.precision,
            space=find_space(arguments),
        ),
        threads=arguments.threads or max(1, cores // arguments.processes),
        limits=limits,
        keys_file=arguments.api_keys_file,
        watch_s=arguments.watch,
    )
