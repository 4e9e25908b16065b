"""More requests than the model can take: some are refused at once, the others do not wait for long."""

import threading
import time
from collections import Counter

import httpx
import pytest

LIMIT_S = 60
SECONDS = 1.0


@pytest.fixture(scope="module")
def small(trained, start):
    return start(str(trained.student_folder), "--threads=1", "--wait-ms=5", "--cache-mb=0")


def test_above_what_it_can_take_it_refuses_with_429_and_answers_the_others(small) -> None:
    body = {"texts": [f"{'steel bottle ' * 12} {i}" for i in range(8)]}
    statuses: Counter[int] = Counter()
    waits: set[str] = set()
    end = time.monotonic() + SECONDS

    def ask() -> None:
        with httpx.Client(timeout=LIMIT_S) as client:
            while time.monotonic() < end:
                answer = client.post(small.url + "/v1/queries:encode", json=body)
                statuses[answer.status_code] += 1
                if answer.status_code == 429:
                    waits.add(answer.headers["retry-after"])
                    assert answer.json()["error"]["code"] == "overloaded" and int(answer.headers["retry-after-ms"]) >= 1

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 429} and waits == {"1"}
    assert small.post("/v1/queries:encode", body).status_code == 200


def test_a_short_request_does_not_wait_for_a_long_one(small) -> None:
    """The long one takes many times as long; the short one is answered while it runs.

    Asked several times: on a busy machine the client itself may stall until both are answered.
    """
    assert any(_short_is_answered_first(small) for _ in range(5))


def _short_is_answered_first(small) -> bool:
    long = {"texts": [f"{'steel bottle ' * 30} {i}" for i in range(400)]}
    answers: list[tuple[str, int]] = []
    asking = threading.Thread(target=lambda: answers.append(("long", small.post("/v1/queries:encode", long).status_code)))
    asking.start()
    while not small.metric("m5_texts_waiting") and asking.is_alive():
        pass
    answers.append(("short", small.post("/v1/queries:encode", {"texts": ["lamp"]}).status_code))
    asking.join()
    assert sorted(answers) == [("long", 200), ("short", 200)]
    return answers[0][0] == "short"
