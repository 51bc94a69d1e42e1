"""The structure of a JSON body: refused before it becomes objects."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest

from helpers.serving import assert_problem, service
from mien.server.json_structure import MAX_DEPTH, MAX_VALUES, check_json_structure
from mien.server.problems import ProblemError
from mien.server.uploads import decode_base64

MIB = 1 << 20


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"images":[' + b"{}," * 700_000 + b"{}]}", "too-large"),
        (b'{"images":[' + b"1," * MIB + b"1]}", "too-large"),
        (b'{"images":[' + b'"",' * MIB + b'""]}', "too-large"),
        (b"{" + b'"a":0,' * 500_000 + b'"a":0}', "too-large"),
        (b"[]" * MIB, "too-large"),
        (b"," * MIB, "too-large"),
        (b'"' * MIB, "too-large"),
        (b'{"images":["' + b'\\"' * MIB + b'"]}', "too-large"),
        (b'{"images":["' + b"\\" * MIB + b'"]}', "json-malformed"),
        (b"[" * MIB, "json-malformed"),
        (b'{"a":' * MIB, "json-malformed"),
    ],
    ids=[
        "empty objects", "numbers", "empty strings", "keys", "arrays", "commas", "quotes", "escaped quotes",
        "backslashes", "nested arrays", "nested objects",
    ],
)  # fmt: skip
def test_bodies_of_very_many_values_are_refused_at_once(body: bytes, code: str) -> None:
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(ProblemError) as caught:
        check_json_structure(body)
    seconds = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == code
    assert seconds < 10
    assert peak < MIB


@pytest.mark.parametrize(
    "document",
    [
        {"images": ["A" * 8 * MIB]},
        {"images": ["AAAA"] * (MAX_VALUES // 2)},
        {"images": [", { [ ] } : " * MAX_VALUES]},
        {"img": "data:image/jpeg;base64,AAAA", "actions": ["emotion"], "enforce_detection": False},
        {"a\\": '"\\"', "b": ["\\", '\\"', "\\\\"]},
        [],
        "text",
        1,
    ],
    ids=str,
)
def test_what_clients_send_passes(document: object) -> None:
    check_json_structure(json.dumps(document).encode())
    # as PHP writes base64
    check_json_structure(json.dumps(document).replace("/", "\\/").encode())


@pytest.mark.parametrize("body", [b"", b" " * MIB, b"1" * MIB, b'{"images":["' + b"A" * MIB, b"}" * 100, b"\xff\xfe{"])
def test_what_is_malformed_is_left_to_the_parser(body: bytes) -> None:
    check_json_structure(body)


def test_the_greatest_depth() -> None:
    check_json_structure(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(ProblemError, match="levels deep"):
        check_json_structure(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(("path", "status"), [("/v1/analyze", 413), ("/analyze", 400)])
def test_the_service_refuses_them(path: str, status: int) -> None:
    body = b'{"images":[' + b"{}," * 700_000 + b"{}]}"
    with service(with_models=False) as client:
        began = time.process_time()
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert time.process_time() - began < 10
        assert_problem(answer, status, "too-large")


def test_base64_of_many_words_takes_little_memory() -> None:
    text = "A A " * (2 * MIB)
    tracemalloc.start()
    assert len(decode_base64(text, "image")) == 3 * MIB
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * MIB
    assert decode_base64("AA\tA\r\nA", "image") == b"\0\0\0"
    with pytest.raises(ProblemError, match="is not base64"):
        decode_base64("ÄÄÄÄ", "image")
