"""The model is replaced under load, the service is stopped under load, one process of several is killed: nothing is lost."""

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest

import m5model
from schemas.errors import M5Error

TEXTS = ["red cotton shirt", "青 革 靴"]
QUERIES = "/v1/queries:encode"
LIMIT_S = 60


class Load:
    """Threads that ask without a pause, each on a connection of its own; every answer is looked at."""

    def __init__(self, url: str, vectors_by_space: dict[str, np.ndarray], threads: int = 4) -> None:
        self.url = url
        self.vectors_by_space = vectors_by_space
        self.spaces: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, space: str, answers: int) -> None:
        end = time.monotonic() + LIMIT_S
        wanted = self.spaces[space] + answers
        while self.spaces[space] < wanted:
            assert time.monotonic() < end, (self.spaces, self.wrong[:3])
            time.sleep(0.01)

    def _ask(self) -> None:
        with httpx.Client(timeout=LIMIT_S) as client:
            while not self._stop.is_set():
                self._look_at(client.post(self.url + QUERIES, json={"texts": TEXTS}))

    def _look_at(self, answer: httpx.Response) -> None:
        if answer.status_code == 429:
            return
        body = answer.json()
        expected = self.vectors_by_space.get(body.get("space_id"))
        if expected is None or np.asarray(body["vectors"], np.float32).tobytes() != expected.tobytes():
            self.wrong.append(answer.text[:200])
        else:
            self.spaces[body["space_id"]] += 1


@pytest.fixture(scope="module")
def vectors_by_space(trained, other_student: Path) -> dict[str, np.ndarray]:
    encoders = [m5model.load(str(folder)) for folder in (trained.student_folder, other_student)]
    found = {encoder.space_id: encoder.encode(TEXTS) for encoder in encoders}
    assert len(found) == 2 and len({vectors.tobytes() for vectors in found.values()}) == 2
    return found


def _point(link: Path, target: Path) -> None:
    """Let ``link`` lead to ``target`` from one moment to the next."""
    new = link.with_suffix(".new")
    new.symlink_to(target)
    new.rename(link)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_swap_under_load_loses_no_request_and_every_answer_is_of_the_space_it_names(
    start, trained, other_student: Path, vectors_by_space, tmp_path: Path, processes: int
) -> None:
    old, new = vectors_by_space
    link = tmp_path / "current"
    _point(link, trained.student_folder)
    running = start(str(link), "--cache-mb=0", processes=processes)
    with Load(running.url, vectors_by_space) as load:
        load.wait_for(old, 20)
        _point(link, other_student)
        running.process.send_signal(signal.SIGHUP)
        running.wait_for_log("before: ", times=processes)
        load.wait_for(new, 20)
        seen = load.spaces[old]
        load.wait_for(new, 20)
        assert load.spaces[old] == seen  # the old model is gone for good
    assert load.wrong == []
    refused = running.post(QUERIES, {"texts": TEXTS, "model": old})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    assert running.metric("m5_swaps_total") == processes


def test_a_bundle_that_is_damaged_is_not_swapped_in_and_the_watch_finds_a_good_one(
    start, trained, other_student: Path, vectors_by_space, tmp_path: Path
) -> None:
    old, new = vectors_by_space
    damaged = shutil.copytree(other_student, tmp_path / "damaged")
    manifest = json.loads((damaged / "manifest.json").read_text())
    (damaged / "manifest.json").write_text(json.dumps(manifest | {"id": "damaged"}))
    (damaged / "tokenizer.json").write_text("{}")
    link = tmp_path / "current"
    _point(link, trained.student_folder)
    running = start(str(link), "--watch=0.1")
    _point(link, damaged)
    running.wait_for_log("the model stays")
    assert running.post(QUERIES, {"texts": TEXTS}).json()["space_id"] == old
    _point(link, other_student)
    running.wait_for_log("before: ")
    assert running.post(QUERIES, {"texts": TEXTS}).json()["space_id"] == new


def test_a_stop_answers_what_was_asked_and_ends_with_0(start, trained) -> None:
    running = start(str(trained.student_folder), "--cache-mb=0")
    long = {"texts": [f"{'steel bottle ' * 20} {i}" for i in range(500)]}
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(running.post(QUERIES, long)))
    asking.start()
    end = time.monotonic() + LIMIT_S
    while not running.metric("m5_texts_waiting"):
        assert time.monotonic() < end
    assert running.stop() == 0
    asking.join()
    assert answers[0].status_code == 200 and len(answers[0].json()["vectors"]) == 500
    with pytest.raises(httpx.ConnectError):
        running.get("/health")


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    names = {int(child): Path(f"/proc/{child}/cmdline").read_text() for child in listed}
    return [child for child, command in names.items() if "spawn_main" in command]


def test_a_process_that_is_killed_is_replaced_and_all_of_them_end_together(start, trained, vectors_by_space) -> None:
    running = start(str(trained.student_folder), processes=2)
    before = _children(running.process.pid)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    running.wait_for_log("serving ", times=3)
    asked = 12
    for _ in range(asked):  # each on a new connection: any process may take it
        assert running.post(QUERIES, {"texts": TEXTS}).status_code == 200
    assert running.metric("m5_texts_total") == asked * len(TEXTS)
    after = _children(running.process.pid)
    assert running.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in after)


def test_what_cannot_be_served_ends_with_2_and_says_why(trained, capsys, tmp_path: Path) -> None:
    from m5model.cli import main

    empty = tmp_path / "keys"
    empty.write_text("# none\n")
    for arguments, message in (
        ([str(trained.teacher_folder)], "distil it into a student"),
        ([str(trained.student_folder), "--api-keys-file", str(empty)], "there is no key"),
        ([str(trained.student_folder), "--host", "256.0.0.1"], "cannot listen"),
        (["nothing", "--workspace", str(tmp_path)], "no bundle 'nothing'"),
    ):
        for processes in (1, 2):
            assert main(["serve", "--port=0", f"--processes={processes}", *arguments]) == 2
            assert message in capsys.readouterr().err


def test_processes_that_end_as_soon_as_they_start_end_the_service(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    from m5model.serving import processes
    from m5model.serving.served_model import Reference
    from m5model.serving.server import Settings

    for name, value in (("QUICK_ENDS", 1), ("QUICK_S", 60.0), ("check", lambda settings: None)):
        monkeypatch.setattr(processes, name, value)
    settings = Settings(reference=Reference(workspace=None, bundle=str(trained.teacher_folder)), threads=1)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        with processes.listen("127.0.0.1", 0) as listening, pytest.raises(M5Error, match="end as soon as they are started"):
            processes.serve_together(settings, listening, 1)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
