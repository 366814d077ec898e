"""A reply that comes piece by piece, with one piece at a time that is not what was agreed, or that ends in an error."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from costs.usage import Usage
from rag.errors import ProviderBusy, ProviderError, ProviderMalformed, ProviderRefused, ProviderUnavailable
from rag.tests.telling_server import Telling, ask, failure, refusal, telling
from rag.tests.test_provider_answers import STRANGE, sound
from rag.tests.test_providers import CLAUDE, paths, removed, replaced

STREAM = CLAUDE._replace(request=replace(CLAUDE.request, on_text=lambda text: None))
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**CLAUDE.answer, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello there."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
]
BEGUN = Usage(12, 100, 200, 2000, 5)
"""What is known after the first text: its input, and of its output at least what its beginning said."""


@pytest.fixture(scope="module")
def told() -> Iterator[Telling]:
    with telling() as server:
        yield server


def says(told: Telling, *events: bytes) -> None:
    told.says(b"".join(events), headers={"Content-Type": "text/event-stream", "request-id": "req_1"})


def framed(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


WHOLE = [framed(event["type"], event) for event in EVENTS]


def spoiled() -> Iterator[tuple[str, list[bytes]]]:
    for number, event in enumerate(EVENTS):
        for path in paths(event):
            strange = {kind: replaced(event, path, value) for kind, value in STRANGE.items()}
            for kind, data in {**strange, "missing": removed(event, path)}.items():
                name = f"{event['type']}: {'.'.join(map(str, path))} is {kind}"
                yield name, [*WHOLE[:number], framed(event["type"], data), *WHOLE[number + 1 :]]


def test_a_stream_with_one_strange_part_is_malformed_or_read_soundly(told: Telling) -> None:
    wrong = []
    for name, events in spoiled():
        for cut in (events, events[:-1]):
            says(told, *cut)
            try:
                reply = ask(STREAM, told.url)
                if not sound(reply):
                    wrong.append(f"{name}: {str(reply)[:200]}")
            except ProviderMalformed:
                continue
            except Exception as error:  # noqa: BLE001 - whatever escapes is listed
                wrong.append(f"{name}: {type(error).__name__}: {error}")
    assert wrong == []


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("overloaded_error", ProviderBusy, 529),
        ("rate_limit_error", ProviderBusy, 429),
        ("api_error", ProviderUnavailable, 500),
        ("billing_error", ProviderRefused, 402),
    ],
)
def test_an_error_in_the_middle_is_what_its_type_says(
    told: Telling, kind: str, error: type[ProviderError], status: int
) -> None:
    says(told, *WHOLE[:3], b"event: error\ndata: " + refusal(kind=kind) + b"\n\n")

    ours = failure(STREAM, told)

    assert (type(ours), ours.http_status, ours.usage, ours.begun) == (error, status, BEGUN, True)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"data: {\n\n", b"event: ping\n\n", b"event: message_start\ndata: null\n\n"]
)
def test_what_is_no_stream_is_malformed(told: Telling, body: bytes) -> None:
    says(told, body)

    ours = failure(STREAM, told)

    assert (type(ours), ours.begun) == (ProviderMalformed, False)


def test_a_whole_reply_where_a_stream_was_asked_for_is_malformed(told: Telling) -> None:
    told.says(json.dumps(CLAUDE.answer).encode())

    assert type(failure(STREAM, told)) is ProviderMalformed
