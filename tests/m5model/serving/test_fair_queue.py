"""Which texts go through the model next."""

import random

import numpy as np

from m5model.serving.fair_queue import FairQueue

MODEL = 1


def _texts(*lengths: int) -> list[np.ndarray]:
    return [np.zeros(length, np.int64) for length in lengths]


def _owners(queue: FairQueue[str], budget: int) -> list[str]:
    """Who is served, in order, until nothing waits."""
    served = []
    while texts := queue.pop(budget):
        served += [text.owner for text in texts]
    return served


def test_a_short_request_that_comes_later_does_not_wait_for_a_long_one() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push(MODEL, "long", _texts(*[10] * 100))
    assert {text.owner for text in queue.pop(20)} == {"long"}
    queue.push(MODEL, "short", _texts(7))
    assert "short" in _owners(queue, 20)[:3]


def test_a_long_request_is_not_starved_by_short_ones_that_keep_coming() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push(MODEL, "long", _texts(*[10] * 20))
    served = 0
    for i in range(100):
        queue.push(MODEL, f"short{i}", _texts(9))
        served += sum(text.owner == "long" for text in queue.pop(10))
    assert served >= 10  # an equal share, while more and more of the others wait


def test_a_call_holds_texts_of_one_length_and_one_model_whoever_sent_them() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push(MODEL, "a", _texts(5, 6, 5))
    queue.push(MODEL, "b", _texts(5))
    queue.push(2, "c", _texts(5))
    calls = []
    while texts := queue.pop(100):
        calls.append(sorted((text.owner, len(text.ids_L)) for text in texts))
    assert sorted(calls) == [[("a", 5), ("a", 5), ("b", 5)], [("a", 6)], [("c", 5)]]


def test_every_text_is_served_once_within_the_budget_or_alone() -> None:
    draw = random.Random(5)
    queue: FairQueue[int] = FairQueue()
    asked: list[tuple[int, int]] = []
    served: list[tuple[int, int]] = []
    for owner in range(200):
        lengths = [draw.randint(1, 40) for _ in range(draw.randint(0, 5))]
        queue.push(draw.randint(1, 2), owner, _texts(*lengths))
        asked += [(owner, row) for row in range(len(lengths))]
        if draw.random() < 0.5:
            texts = queue.pop(32)
            assert len(texts) <= 1 or sum(len(text.ids_L) for text in texts) <= 32
            served += [(text.owner, text.row) for text in texts]
        assert len(queue) == len(asked) - len(served)
    while texts := queue.pop(32):
        served += [(text.owner, text.row) for text in texts]
    assert sorted(served) == asked and len(queue) == 0 and queue.tokens_before(100) == 0


def test_what_a_client_left_behind_is_dropped_and_nothing_else() -> None:
    queue: FairQueue[str] = FairQueue()
    gone, stays = "gone", "stays"
    queue.push(MODEL, gone, _texts(5, 6, 7))
    queue.push(MODEL, stays, _texts(6))
    queue.drop(gone)
    queue.drop(gone)
    assert (len(queue), queue.tokens_before(100)) == (1, 6)
    assert _owners(queue, 100) == [stays]


def test_a_request_waits_for_no_more_than_an_equal_share_of_each_other() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push(MODEL, "long", _texts(*[10] * 100))
    queue.push(MODEL, "short", _texts(4))
    assert (queue.tokens_before(8), queue.tokens_before(10_000)) == (12, 1_004)
