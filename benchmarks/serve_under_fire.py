"""``m5 serve`` under malformed requests, hanging clients and a swap of its model, while good requests keep coming.

    python benchmarks/serve_under_fire.py [--requests 10000] [--examples 300] [--bundle BUNDLE]

1. schemathesis reads the OpenAPI document and sends what fits it and what does not (``--examples`` per operation), and checks
   status, form and schema of every answer; then good requests with random bytes in them, up to ``--requests`` in all.
2. 500 clients hang: in the head, in the body, without a word.
3. The bundle behind the symlink becomes another one, and SIGHUP is sent.

All the while a client asks for the same texts 20 times a second and compares the bytes. The last line of stdout is one JSON
object: answers with 5xx, wrong or missing good answers, the slowest of them, and memory after warming up and at the end.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
from inputs.services import Running, find_student, running

import m5model
from m5model.training.progress import say

TEXTS = ["red cotton shirt", "青 革 靴"]
QUERIES = "/v1/queries:encode"
PAUSE_S = 0.05
HANGING = 500
PHASE_S = 5.0
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,negative_data_rejection,unsupported_method"
)
HEAD = b"POST /v1/queries:encode HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"


class Prober:
    """Asks for the same texts all the time, and compares the bytes."""

    def __init__(self, url: str, expected: dict[str, bytes]) -> None:
        self.good: Counter[str] = Counter()  # by space
        self.bad: list[str] = []
        self.slowest_s: dict[str, float] = {}  # by phase
        self.phase = "quiet"
        self._url = url
        self._expected = expected
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Prober":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.wait(PAUSE_S):
                began, phase = time.perf_counter(), self.phase
                try:
                    self._look_at(client.post(self._url + QUERIES, json={"texts": TEXTS}))
                except httpx.HTTPError as error:
                    self.bad.append(f"{phase}: {error!r}")
                self.slowest_s[phase] = max(self.slowest_s.get(phase, 0.0), time.perf_counter() - began)

    def _look_at(self, answer: httpx.Response) -> None:
        body = answer.json()
        space = str(body.get("space_id"))
        if answer.status_code == 200 and np.asarray(body["vectors"], np.float32).tobytes() == self._expected.get(space):
            self.good[space] += 1
        else:
            self.bad.append(f"{self.phase}: {answer.status_code} {answer.text[:100]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="malformed ones, in all (default: %(default)s)")
    parser.add_argument("--examples", type=int, default=300, help="of schemathesis, per operation (default: %(default)s)")
    parser.add_argument("--bundle", help="a student; else the newest of the workspace, else one with random weights")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bundles = [find_student(arguments.bundle, folder)]
        bundles.append(make_other(bundles[0], folder / "other"))
        link = folder / "current"
        point(link, bundles[0])
        encoders = [m5model.load(bundle) for bundle in bundles]
        expected = {encoder.space_id: encoder.encode(TEXTS).tobytes() for encoder in encoders}
        del encoders
        with running("m5", str(link), "--client-s=3") as service, Prober(service.url, expected) as prober:
            report = fire(service, prober, arguments, link, bundles[1])
        report["swap_spaces_seen"] = len(prober.good)
        report["good_answers"] = sum(prober.good.values())
        report["good_wrong_or_missing"] = len(prober.bad)
        report["slowest_good_ms"] = {phase: round(seconds * 1_000, 1) for phase, seconds in prober.slowest_s.items()}
        for line in prober.bad[:5]:
            say(line)
    print(json.dumps({"benchmark": "serve_under_fire", **report}))
    return 0


def fire(service: Running, prober: Prober, arguments: argparse.Namespace, link: Path, other: str) -> dict[str, object]:
    """The phases, one after the other."""
    time.sleep(PHASE_S)
    send_damaged(service, 500, seed=1)
    warm_mb = resident_mb(service.pid)
    prober.phase = "schemathesis"
    passed, generated = run_schemathesis(service.url, arguments.examples)
    prober.phase = "random bytes"
    send_damaged(service, max(0, arguments.requests - generated), seed=2)
    end_mb = resident_mb(service.pid)
    prober.phase = "hanging clients"
    with contextlib.ExitStack() as stack:
        for number in range(HANGING):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            connection.sendall((HEAD, HEAD + b"content-length: 9\r\n\r\n", b"")[number % 3])
        time.sleep(PHASE_S)
    prober.phase = "swap"
    point(link, other)
    os.kill(service.pid, signal.SIGHUP)
    time.sleep(PHASE_S)
    metrics = httpx.get(f"{service.url}/metrics").text
    server_errors = sum(
        float(line.rpartition(" ")[2]) for line in metrics.splitlines() if re.match(r'm5_requests_total.*status="5', line)
    )
    return {
        "malformed": max(arguments.requests, generated),
        "of_schemathesis": generated,
        "schemathesis_passed": passed,
        "answers_5xx": int(server_errors),
        "memory_mb_warm": warm_mb,
        "memory_mb_after_malformed": end_mb,
    }


def run_schemathesis(url: str, examples: int) -> tuple[bool, int]:
    """Did all checks pass, and how many requests were sent?"""
    command = ["schemathesis", "run", f"{url}/openapi.json", "--phases", "coverage,fuzzing", "--mode", "all", "--no-color"]
    command += ["--checks", CHECKS, "--max-examples", str(examples), "--continue-on-failure", "--seed", "7"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tempfile.gettempdir())
    found = re.search(r"([\d,]+) generated", answer.stdout)
    if answer.returncode != 0:
        say(answer.stdout[-3_000:])
    return answer.returncode == 0, int(found[1].replace(",", "")) if found else 0


def send_damaged(service: Running, requests: int, seed: int) -> None:
    """Good requests with random bytes in some places, each on a connection of its own."""
    draw = random.Random(seed)
    whole = HEAD + b'content-length: 17\r\n\r\n{"texts": ["ab"]}'
    for _ in range(requests):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 40)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        content = draw.choice([bytes(damaged), bytes(damaged), draw.randbytes(draw.randint(1, 2_000))])
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection, contextlib.suppress(OSError):
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65_536)


def make_other(bundle: str, folder: Path) -> str:
    """The same weights with another prefix: other vectors, so another space."""
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {"id": "student-other", "space_id": "0123456789abcdef"}
    manifest["rendering"]["prefix"] = "other: "
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return str(folder)


def point(link: Path, target: str) -> None:
    new = link.with_suffix(".new")
    new.symlink_to(Path(target).resolve())
    new.rename(link)


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(round(int(line.split()[1]) / 1_024, 1) for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    sys.exit(main())
