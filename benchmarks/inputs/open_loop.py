"""Sends HTTP requests at the times that were drawn for them, whatever became of those before: an open loop.

    python benchmarks/inputs/open_loop.py --port 8321 --path /v1/queries:encode --queries FILE --rate 50 --seconds 60

A request's latency counts from the time at which it was to be sent. So a service that stalls is charged for all requests of
that time, also for those that could not be sent (no coordinated omission). Arrivals are a Poisson process of a fixed seed.
One thread sleeps and sends, one reads. Every request is on a connection that is free then; connections stay open.

Prints one JSON object: ``sent_at_s``, ``latency_ms`` (null where no answer came) and ``status`` of every request, and
``late_ms``: how long after its time each was sent. That is part of its latency, though it may be the generator's own doing.
"""

import argparse
import gc
import json
import random
import selectors
import socket
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 10.0  # after the last request; what is not answered then never is
MAX_CONNECTIONS = 2_000
HEAD_END = b"\r\n\r\n"


@dataclass
class Asked:
    """One request."""

    due: float  # on the clock of time.perf_counter
    content: bytes
    late_s: float = 0.0  # from then to when it was sent
    latency_s: float | None = None
    status: int = 0


@dataclass(eq=False)
class Connection:
    socket: socket.socket
    asked: Asked | None = None
    received: bytearray = field(default_factory=bytearray)


class OpenLoop:
    """Sends requests to one port of loopback."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: deque[Connection] = deque()
        self._made = 0
        self._selector = selectors.DefaultSelector()
        self._left = threading.Semaphore(0)
        self._is_over = False

    def run(self, requests: list[Asked]) -> None:
        """Send all of them when they are due, and wait for the answers."""
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        for asked in requests:
            time.sleep(max(0.0, asked.due - time.perf_counter()))
            self._send(asked)
        end = time.perf_counter() + PATIENCE_S
        for _ in requests:
            if not self._left.acquire(timeout=max(0.0, end - time.perf_counter())):
                break
        self._is_over = True
        reader.join()

    def _send(self, asked: Asked) -> None:
        try:
            connection = self._free.pop() if self._free else self._connect()
            connection.asked = asked
            asked.late_s = time.perf_counter() - asked.due
            connection.socket.sendall(asked.content)
        except OSError:
            self._left.release()

    def _connect(self) -> Connection:
        if self._made >= MAX_CONNECTIONS:
            raise OSError("too many connections")
        self._made += 1
        made = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(made)
        self._selector.register(made, selectors.EVENT_READ, connection)
        return connection

    def _read(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select(timeout=0.05):
                self._take(key.data)

    def _take(self, connection: Connection) -> None:
        try:
            part = connection.socket.recv(1 << 20)
        except OSError:
            part = b""
        now = time.perf_counter()
        connection.received += part
        if not part:
            self._selector.unregister(connection.socket)
            connection.socket.close()
        elif not _is_whole(connection.received):
            return
        asked = connection.asked
        if asked is not None:
            if part:
                asked.latency_s = now - asked.due
                asked.status = int(connection.received[9:12])
            connection.asked = None
            self._left.release()
        if part:
            connection.received.clear()
            self._free.append(connection)


def _is_whole(received: bytearray) -> bool:
    """Is the answer there, head and body?"""
    end = received.find(HEAD_END)
    if end < 0:
        return False
    head = bytes(received[:end]).lower()
    _, _, after = head.partition(b"content-length:")
    return len(received) >= end + len(HEAD_END) + int(after.split(b"\r\n", 1)[0] or 0)


def _request(path: str, text: str) -> bytes:
    body = json.dumps({"texts": [text]}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--queries", required=True, help="a JSON list of texts, used in turn")
    parser.add_argument("--first", type=int, default=0, help="of the texts, to begin with")
    parser.add_argument("--rate", type=float, required=True, help="requests per second")
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    texts = json.loads(Path(arguments.queries).read_text(encoding="utf-8"))
    draw = random.Random(arguments.first)
    start = time.perf_counter() + 0.2
    requests: list[Asked] = []
    due = draw.expovariate(arguments.rate)
    while due < arguments.seconds:
        text = texts[(arguments.first + len(requests)) % len(texts)]
        requests.append(Asked(start + due, _request(arguments.path, text)))
        due += draw.expovariate(arguments.rate)
    gc.disable()  # nothing here is a cycle; a collection would make requests late
    OpenLoop(arguments.port).run(requests)
    print(
        json.dumps(
            {
                "sent_at_s": [round(asked.due - start, 4) for asked in requests],
                "latency_ms": [None if asked.latency_s is None else round(asked.latency_s * 1_000, 3) for asked in requests],
                "late_ms": [round(asked.late_s * 1_000, 3) for asked in requests],
                "status": [asked.status for asked in requests],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
