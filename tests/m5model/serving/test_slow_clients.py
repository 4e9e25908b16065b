"""Clients that hang cost nobody anything, and are sent away."""

import contextlib
import socket
import time

import pytest

from m5model.serving.connections import MAX_HEAD_BYTES

LIMIT_S = 60
HEAD = b"POST /v1/queries:encode HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
CLIENT_S = "0.5"


@pytest.fixture(scope="module")
def impatient(trained, start):
    return start(str(trained.student_folder), "--client-s", CLIENT_S, "--cache-mb=0")


def _connect(running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=LIMIT_S)


def _read_all(connection: socket.socket) -> bytes:
    """What came until the service closed the connection."""
    content = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            content += part
    return content


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD[:20]])
def test_a_head_that_does_not_come_ends_the_connection(impatient, sent: bytes) -> None:
    with _connect(impatient) as connection:
        connection.sendall(sent)
        assert _read_all(connection) == b""


def test_a_body_that_does_not_come_is_a_408(impatient) -> None:
    with _connect(impatient) as connection:
        connection.sendall(HEAD + b'content-length: 100\r\n\r\n{"texts"')
        answer = _read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ") and b"body_too_slow" in answer


def test_a_second_head_on_the_same_connection_is_waited_for_no_longer_than_the_first(impatient) -> None:
    with _connect(impatient) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(HEAD)
        assert b"HTTP/1.1" not in _read_all(connection)  # the rest of the first answer, and no other


def test_a_head_without_end_ends_the_connection(service) -> None:
    with _connect(service) as connection:
        connection.settimeout(LIMIT_S)
        with pytest.raises(OSError):
            for _ in range(100 * MAX_HEAD_BYTES // 1_000):
                connection.sendall(b"x-header: " + b"a" * 988 + b"\r\n" if _ else HEAD)
    assert service.get("/health").status_code == 200


def test_many_clients_that_hang_cost_the_others_nothing(impatient) -> None:
    with contextlib.ExitStack() as stack:
        for i in range(150):
            connection = stack.enter_context(_connect(impatient))
            connection.sendall((HEAD, HEAD + b"content-length: 9\r\n\r\n", b"")[i % 3])
        for i in range(20):
            assert impatient.post("/v1/queries:encode", {"texts": [f"lamp {i}"]}).status_code == 200
    assert impatient.metric("m5_requests_total") > 20


def test_what_a_client_does_not_wait_for_is_not_computed(impatient) -> None:
    texts = ", ".join(f'"{"steel bottle " * 40} {i}"' for i in range(1_000))
    body = f'{{"texts": [{texts}]}}'.encode()
    with _connect(impatient) as connection:
        connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        end = time.monotonic() + LIMIT_S
        while not impatient.metric("m5_texts_waiting"):
            assert time.monotonic() < end
    calls = impatient.metric("m5_call_texts_sum")
    while impatient.metric("m5_texts_waiting"):
        assert time.monotonic() < end
    assert calls <= impatient.metric("m5_call_texts_sum") < 1_000
