"""The API over HTTP: vectors, OpenAI's form, errors, limits."""

import base64
import json
import random
import re
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import openai
import pytest
from tokenizers import Tokenizer

import m5model

TEXTS = ["red cotton shirt", "青 革 靴", "steel bottle", "red cotton shirt", "küche messer " * 30]
QUERIES = "/v1/queries:encode"


@pytest.fixture(scope="module")
def expected(trained) -> np.ndarray:
    return m5model.load(str(trained.student_folder)).encode(TEXTS)


@pytest.fixture(scope="module")
def client(service) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key="none is asked for", max_retries=0)


def _vectors(answer: httpx.Response) -> np.ndarray:
    return np.asarray(answer.json()["vectors"], np.float32)


def test_the_service_gives_the_bytes_of_the_toolkit_in_both_forms_and_names_the_space(service, trained, expected) -> None:
    for form in ("float", "base64"):
        answer = service.post(QUERIES, {"texts": TEXTS, "encoding_format": form})
        body = answer.json()
        vectors = body["vectors"]
        if form == "base64":
            vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
        assert np.asarray(vectors, np.float32).tobytes() == expected.tobytes()
        assert (body["bundle"], body["space_id"]) == (trained.student.id, trained.student.space_id)
        assert answer.headers["x-m5-space-id"] == trained.student.space_id


def test_many_requests_at_once_get_the_bytes_that_each_would_get_alone(service, trained) -> None:
    words = ["red", "blue", "steel", "lamp", "靴", "messer"]
    texts = [" ".join(random.Random(i).choices(words, k=1 + i % 9)) for i in range(200)]
    expected = m5model.load(str(trained.student_folder)).encode(texts)
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(16) as pool:

        def ask(text: str) -> np.ndarray:
            answer = client.post(service.url + QUERIES, json={"texts": [text]})
            while answer.status_code == 429:
                answer = client.post(service.url + QUERIES, json={"texts": [text]})
            return _vectors(answer)[0]

        found = list(pool.map(ask, texts))
    assert np.stack(found).tobytes() == expected.tobytes()


def test_the_openai_client_gets_vectors_usage_and_models(client, trained, expected) -> None:
    answer = client.embeddings.create(model="m5", input=TEXTS)  # the client asks for base64 and decodes it
    assert np.asarray([entry.embedding for entry in answer.data], np.float32).tobytes() == expected.tobytes()
    assert [entry.index for entry in answer.data] == list(range(len(TEXTS)))
    tokens = sum(m5model.load(str(trained.student_folder)).encode_texts(TEXTS).token_counts)
    assert (answer.model, answer.usage.prompt_tokens, answer.usage.total_tokens) == (trained.student.id, tokens, tokens)
    as_floats = client.embeddings.create(model=trained.student.space_id, input=TEXTS[0], encoding_format="float")
    assert np.asarray(as_floats.data[0].embedding, np.float32).tobytes() == expected[0].tobytes()
    assert [model.id for model in client.models.list()] == [trained.student.id]
    assert client.models.retrieve("m5").model_extra["space_id"] == trained.student.space_id


def test_the_openai_client_may_send_token_ids(client, trained, expected) -> None:
    tokenizer = Tokenizer.from_file(str(trained.student_folder / "tokenizer.json"))
    tokenizer.no_truncation()
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    answer = client.embeddings.create(model="m5", input=ids)
    assert np.asarray([entry.embedding for entry in answer.data], np.float32).tobytes() == expected.tobytes()
    alone = client.embeddings.create(model="m5", input=ids[1])
    assert np.asarray(alone.data[0].embedding, np.float32).tobytes() == expected[1].tobytes()
    with pytest.raises(openai.BadRequestError, match=r"input\[1\] holds the token id"):
        client.embeddings.create(model="m5", input=[ids[0], [5, 10_000_000]])


def test_dimensions_are_those_that_the_vectors_were_trained_for(client, expected) -> None:
    card = client.models.retrieve("m5").model_extra
    assert card["prefixes"] == [64]  # of tiny's 128 dimensions, as its imitation trained them
    answer = client.embeddings.create(model="m5", input=TEXTS[0], dimensions=64)
    cut = np.asarray(answer.data[0].embedding, np.float32)
    assert np.allclose(cut, expected[0, :64] / np.linalg.norm(expected[0, :64]), atol=1e-6)
    whole = client.embeddings.create(model="m5", input=TEXTS[0], dimensions=card["dimensions"])
    assert np.asarray(whole.data[0].embedding, np.float32).tobytes() == expected[0].tobytes()
    with pytest.raises(openai.BadRequestError, match="were trained for 64, 128"):
        client.embeddings.create(model="m5", input=TEXTS[0], dimensions=65)


def test_the_openai_client_gets_its_own_kinds_of_errors(client) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.embeddings.create(model="text-embedding-3-small", input="a")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError, match="empty") as empty:
        client.embeddings.create(model="m5", input=["a", ""])
    assert empty.value.param == "input[1]"


def test_truncation_is_reported_and_can_be_refused(service, trained, client) -> None:
    long = "red cotton " * 2_000
    body = service.post(QUERIES, {"texts": ["lamp", long]}).json()
    assert body["truncated"] == [1] and body["token_counts"][1] == trained.student.max_tokens
    refused = service.post(QUERIES, {"texts": ["lamp", long], "truncate": False})
    assert (refused.status_code, refused.json()["error"]["param"]) == (413, "texts[1]")
    assert service.post(QUERIES, {"texts": ["lamp"], "truncate": False}).status_code == 200
    assert client.embeddings.create(model="m5", input=long).model_extra["truncated"] == [0]


def test_a_text_that_only_loses_its_last_character_is_reported_though_the_cache_has_the_rest(service) -> None:
    whole = "lamp" + " " * 4_092  # all that a rendering takes, and few tokens
    for text, truncated in ((whole, []), (whole + " ", [0]), (whole, [])):
        assert service.post(QUERIES, {"texts": [text]}).json()["truncated"] == truncated


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"", 400, "invalid_json", None),
        (b"{", 400, "invalid_json", None),
        (b"[" * 100_000, 400, "invalid_request", None),
        (b'{"texts": ["\\ud83d"]}', 400, "invalid_json", None),
        (b'{"texts": ["\xff"]}', 400, "invalid_json", None),
        (b'{"texts": "red"}', 400, "invalid_request", "texts"),
        (b'{"texts": ["a", 3]}', 400, "invalid_request", "texts[1]"),
        (b'{"texts": []}', 400, "invalid_request", "texts"),
        (b'{"texts": ["a", ""]}', 400, "invalid_request", "texts[1]"),
        (b'{"texts": ["a"], "dimensions": 1e400}', 400, "invalid_request", "dimensions"),
        (b'{"texts": ["a"], "truncat": false}', 400, "invalid_request", None),
        (b'{"texts": ["a"], "encoding_format": "int8"}', 400, "invalid_request", "encoding_format"),
        (json.dumps({"texts": ["a"] * 2_049}).encode(), 413, "too_many_texts", "texts"),
        (json.dumps({"texts": ["a", "b" * 40_000]}).encode(), 413, "text_too_long", "texts[1]"),
        (b" " * (4 << 20) + b" ", 413, "body_too_large", None),
    ],
)
def test_what_is_not_taken_is_refused_by_name(service, body: bytes, status: int, code: str, param: str) -> None:
    answer = httpx.post(service.url + QUERIES, content=body, headers={"content-type": "application/json"}, timeout=60)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["message"] and "Traceback" not in answer.text


def test_other_paths_methods_and_kinds_of_content_are_refused_in_the_same_form(service) -> None:
    for answer, status in (
        (service.get("/nothing"), 404),
        (service.get(QUERIES), 405),
        (httpx.post(service.url + QUERIES, content=b"{}", headers={"content-type": "text/plain"}), 415),
    ):
        assert answer.status_code == status and set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_random_bytes_end_no_service(service) -> None:
    draw = random.Random(7)
    request = b"POST /v1/queries:encode HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n"
    for _ in range(200):
        damaged = bytearray(request + b'{"texts": ["ab"]}')
        for _ in range(draw.randint(1, 30)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
            connection.sendall(draw.choice([bytes(damaged), draw.randbytes(200)]))
            connection.shutdown(socket.SHUT_WR)
            try:
                head = connection.recv(4_096)
            except ConnectionResetError:
                head = b""
        assert not head.startswith(b"HTTP/1.1 5"), bytes(damaged)
    assert service.get("/health").status_code == 200 and service.process.poll() is None


def test_frequent_texts_come_from_the_cache_with_the_same_bytes(service) -> None:
    first = service.post(QUERIES, {"texts": ["garden chair wood"]})
    calls, cached = service.metric("m5_call_texts_count"), service.metric("m5_texts_cached_total")
    again = service.post(QUERIES, {"texts": ["garden chair wood"] * 3})
    assert service.metric("m5_call_texts_count") == calls
    assert service.metric("m5_texts_cached_total") == cached + 3
    assert {tuple(vector) for vector in again.json()["vectors"]} == {tuple(first.json()["vectors"][0])}


def test_health_readiness_metrics_and_the_openapi_document_answer(service, trained) -> None:
    for path in ("/health", "/ready"):
        assert service.get(path).json() == {"status": "ok", "bundle": trained.student.id, "space_id": trained.student.space_id}
    assert f'm5_model{{bundle="{trained.student.id}"' in service.get("/metrics").text
    document = service.get("/openapi.json").json()
    assert set(document["paths"]) >= {QUERIES, "/v1/embeddings", "/health", "/ready", "/metrics"}
    assert service.get("/docs").status_code == 200


def test_keys_are_asked_for_where_there_are_any(start, trained, tmp_path_factory) -> None:
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text("# of the search team\nsecret-of-the-search-team\n\nsecret-of-the-ads-team\n")
    running = start(str(trained.student_folder), "--api-keys-file", str(file))
    for key, status in (("secret-of-the-ads-team", 200), ("secret-of-the-ads-tea", 401), ("x", 401)):
        answer = running.post(QUERIES, {"texts": ["a"]}, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == status
    assert running.get("/metrics").status_code == 401 and running.get("/ready").status_code == 200
    with pytest.raises(openai.AuthenticationError, match="no such API key"):
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="wrong", max_retries=0).embeddings.create(model="m5", input="a")


def test_the_page_of_the_api_loads_everything_from_the_service_itself(service) -> None:
    page = service.get("/docs").text
    files = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert any(file.endswith(".js") for file in files) and any(file.endswith(".css") for file in files)
    assert all(file.startswith("/") and service.get(file).status_code == 200 for file in files)
    assert not re.search(r"https?://", page)


def test_a_busy_path_answers_other_methods_and_spellings_as_every_path_does(service) -> None:
    assert service.get(QUERIES).status_code == 405
    assert service.post("/v1/queries%3Aencode", {"texts": ["ab"]}).status_code == 200
    assert service.post(f"{QUERIES}/", {"texts": ["ab"]}).status_code in (307, 404)
