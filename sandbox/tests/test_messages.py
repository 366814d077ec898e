from typing import Any

import anthropic
import pytest

from sandbox.tests.clients import claude
from sandbox.tests.conftest import Running, post

QUESTION = (
    '<source id="topics/db#1">A QuerySet is lazy: creating one does not touch the database. '
    "The database is queried when the QuerySet is evaluated.</source>\n"
    '<source id="fruit#2">Bananas are yellow and grow in bunches.</source>\n'
    "<question>When is the database queried by a QuerySet?</question>"
)
SYSTEM = "Answer from the sources and cite their ids in brackets. If they do not hold it, reply NO_ANSWER: and why."
ANSWERING: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 300,
    "system": SYSTEM,
    "messages": [{"role": "user", "content": QUESTION}],
}


def refused(server: Running, **changes: object) -> tuple[int, str, str]:
    body = {name: value for name, value in (ANSWERING | changes).items() if value is not None}
    answer = post(server, "/anthropic/v1/messages", body)
    error = answer.json()["error"]
    return answer.status_code, error["type"], error["message"]


def test_it_answers_from_the_sources_and_cites_them(server, key):
    answer = claude(server, key=key).messages.create(**ANSWERING)

    assert "The database is queried when the QuerySet is evaluated. [topics/db#1]" in answer.content[0].text
    assert "Bananas" not in answer.content[0].text
    assert answer.stop_reason == "end_turn"


def test_it_says_when_the_sources_do_not_hold_the_answer(server, key):
    asked = QUESTION.replace("When is the database queried by a QuerySet?", "Who won the 1998 world cup?")

    answer = claude(server, key=key).messages.create(**ANSWERING | {"messages": [{"role": "user", "content": asked}]})

    assert answer.content[0].text == "NO_ANSWER: The sources do not hold the answer to this question."


def test_the_same_body_gets_the_same_message_under_another_request_id(server, key):
    first = claude(server, key=key).messages.create(**ANSWERING)
    second = claude(server, key=key).messages.create(**ANSWERING)

    assert (first.id, first.content) == (second.id, second.content)
    assert first._request_id != second._request_id


def test_usage_is_whole_when_nothing_is_cached(server, key):
    usage = claude(server, key=key).messages.create(**ANSWERING).usage

    assert (usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (0, 0)
    assert usage.input_tokens > 50
    assert usage.output_tokens > 5


def test_count_tokens_agrees_with_the_usage(server, key):
    client = claude(server, key=key)
    counted = client.messages.count_tokens(
        model="claude-sonnet-4-6", system=SYSTEM, messages=[{"role": "user", "content": QUESTION}]
    )

    assert counted.input_tokens == client.messages.create(**ANSWERING).usage.input_tokens


def test_newer_families_count_more_tokens_for_the_same_text(server, key):
    client = claude(server, key=key)
    older = client.messages.create(**ANSWERING).usage.input_tokens
    newer = client.messages.create(**ANSWERING | {"model": "claude-sonnet-5-5"}).usage.input_tokens

    assert newer == pytest.approx(1.3 * older, rel=0.03)


def test_max_tokens_cuts_the_answer_and_says_so(server, key):
    answer = claude(server, key=key).messages.create(**ANSWERING | {"max_tokens": 5})

    assert answer.stop_reason == "max_tokens"
    assert answer.usage.output_tokens == 5
    assert 0 < len(answer.content[0].text) < 40


def test_a_stop_sequence_ends_the_answer_and_is_named(server, key):
    answer = claude(server, key=key).messages.create(**ANSWERING, stop_sequences=["queried", "never seen"])

    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "queried")
    assert "queried" not in answer.content[0].text


def test_zero_max_tokens_only_prepares_the_cache(server, key):
    answer = claude(server, key=key).messages.create(**ANSWERING | {"max_tokens": 0})

    assert (answer.content, answer.usage.output_tokens) == ([], 0)


def test_tools_are_accepted_and_counted(server, key):
    tool: Any = {
        "name": "look_up",
        "description": "Looks a word up",
        "input_schema": {"type": "object", "properties": {}},
    }
    client = claude(server, key=key)

    with_tool = client.messages.create(**ANSWERING, tools=[tool])

    assert with_tool.usage.input_tokens > client.messages.create(**ANSWERING).usage.input_tokens
    assert with_tool.content[0].type == "text"


def test_a_dated_model_name_is_known(server, key):
    answer = claude(server, key=key).messages.create(**ANSWERING | {"model": "claude-haiku-4-5-20251001"})

    assert answer.model == "claude-haiku-4-5-20251001"


def test_older_families_accept_sampling(server, key):
    answer = claude(server, key=key).messages.create(**ANSWERING, extra_body={"temperature": 0})

    assert answer.stop_reason == "end_turn"


def test_newer_families_refuse_other_sampling_than_the_default(server, key):
    client = claude(server, key=key)

    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        client.messages.create(**ANSWERING | {"model": "claude-sonnet-5"}, extra_body={"temperature": 0})


def test_an_unknown_model_is_not_found(server, key):
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude(server, key=key).messages.create(**ANSWERING | {"model": "claude-nobody-1"})

    assert caught.value.type == "not_found_error"
    assert caught.value.request_id


def marked(text: str, ttl: str = "5m") -> dict[str, object]:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": []}, "at least one message"),
        ({"messages": "hello"}, "valid array"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "first message"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-empty"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "non-empty"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages.0.content.0"),
        ({"system": 5}, "system"),
        ({"model": None}, "model: Field required"),
        ({"stream": "yes"}, "stream"),
        ({"stop_sequences": [" "]}, "stop_sequences"),
        ({"temperature": 2}, "temperature"),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"tools": [{"description": "nameless"}]}, "tools"),
        ({"max_tokens": 0, "stream": True}, "max_tokens: 0"),
        ({"max_tokens": 0, "tool_choice": {"type": "any"}}, "max_tokens: 0"),
        ({"model": "claude-opus-5-5", "thinking": {"type": "disabled"}}, "cannot be disabled"),
        ({"system": [marked(f"part {number}") for number in range(5)]}, "Found 5"),
        (
            {"system": [marked(f"part {number}") for number in range(4)], "cache_control": {"type": "ephemeral"}},
            "Found 5",
        ),
        ({"system": [marked("short", "5m"), marked("long", "1h")]}, "must not come after"),
        ({"system": [marked("forever", "9h")]}, "ttl"),
        ({"model": "claude-haiku-4-5", "system": "word " * 210_000}, "prompt is too long"),
    ],
)
def test_a_bad_request_is_refused_in_the_vendors_shape(server, changes, words):
    status, kind, message = refused(server, **changes)

    assert (status, kind) == (400, "invalid_request_error")
    assert words in message
