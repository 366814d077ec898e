import threading
from typing import Any

import anthropic
import pytest

from sandbox.tests.clients import claude

LONG = "The rules of this house are many and each of them matters. " * 220
SHORT = "Be brief and kind. " * 20


def cached(text: str, ttl: str = "1h") -> Any:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}}


def ask(client: anthropic.Anthropic, *, system: Any, question: str = "Hello?", **more: Any):
    request: dict[str, Any] = {"model": "claude-sonnet-4-6", "max_tokens": 50} | more
    return client.messages.create(system=system, messages=[{"role": "user", "content": question}], **request).usage


def test_the_second_question_reads_the_cached_system_prompt(server, key):
    client = claude(server, key=key)
    first = ask(client, system=[cached(LONG)])

    second = ask(client, system=[cached(LONG)], question="Another?")

    assert first.cache_creation.ephemeral_1h_input_tokens == second.cache_read_input_tokens > 2_048
    assert (second.cache_creation_input_tokens, second.input_tokens < 20) == (0, True)


def test_both_counters_are_zero_below_the_minimum_of_the_model(server, key):
    usage = ask(claude(server, key=key), system=[cached(SHORT)])

    assert (usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (0, 0)


def test_the_minimum_depends_on_the_model(server, key):
    usage = ask(claude(server, key=key), system=[cached(LONG)], model="claude-haiku-4-5")

    assert usage.cache_creation_input_tokens == 0


def test_another_key_pays_its_own_write(server, key):
    ask(claude(server, key=key), system=[cached(LONG)])

    assert ask(claude(server, key=f"{key}-other"), system=[cached(LONG)]).cache_read_input_tokens == 0


def test_the_entry_expires_when_the_clock_moves(server, key):
    client = claude(server, key=key)
    ask(client, system=[cached(LONG, "5m")])
    server.advance(301)

    assert ask(client, system=[cached(LONG, "5m")]).cache_read_input_tokens == 0


def test_the_automatic_breakpoint_marks_the_last_block(server, key):
    client = claude(server, key=key)
    ask(client, system=LONG, cache_control={"type": "ephemeral"})

    again = ask(client, system=LONG, cache_control={"type": "ephemeral"})

    assert again.cache_read_input_tokens > 2_048
    assert again.input_tokens == 0


def test_a_warm_up_without_output_fills_the_cache(server, key):
    client = claude(server, key=key)
    warm = ask(client, system=[cached(LONG)], max_tokens=0)

    assert warm.output_tokens == 0
    assert ask(client, system=[cached(LONG)]).cache_read_input_tokens == warm.cache_creation_input_tokens


def test_a_parallel_cold_burst_pays_every_write(server, key):
    server.pace(generate_ms=400)
    usages = []

    def one() -> None:
        usages.append(ask(claude(server, key=key), system=[cached(LONG)]))

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [usage.cache_read_input_tokens for usage in usages] == [0, 0, 0]


def test_a_stream_makes_its_entry_usable_at_its_first_event(server, key):
    server.pace(generate_ms=2_000)
    client = claude(server, key=key)
    with client.messages.stream(
        model="claude-sonnet-4-6",
        max_tokens=50,
        system=[cached(LONG)],
        messages=[{"role": "user", "content": "Hello?"}],
    ) as stream:
        next(iter(stream))
        server.pace(generate_ms=0)

        second = ask(client, system=[cached(LONG)])

    assert second.cache_read_input_tokens > 2_048


def test_the_place_of_the_cache_mark_is_not_part_of_the_match(server, key):
    client = claude(server, key=key)
    ask(client, system=[cached(LONG, "5m")])

    moved = [{"type": "text", "text": LONG}, cached("And one more rule.", "5m")]

    assert ask(client, system=moved).cache_read_input_tokens > 2_048


@pytest.mark.parametrize(
    "changed", [{"tools": [{"name": "t", "input_schema": {"type": "object"}}]}, {"model": "claude-sonnet-5"}]
)
def test_other_tools_or_another_model_miss(server, key, changed):
    client = claude(server, key=key)
    ask(client, system=[cached(LONG)])

    assert ask(client, system=[cached(LONG)], **changed).cache_read_input_tokens == 0


def test_another_tool_choice_misses_only_the_messages(server, key):
    client = claude(server, key=key)
    tools = [{"name": "t", "input_schema": {"type": "object", "properties": {}}}]
    messages = [{"role": "user", "content": [cached(LONG, "5m")]}]
    request: dict[str, Any] = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 9,
        "system": [cached(LONG)],
        "tools": tools,
        "messages": messages,
    }
    client.messages.create(**request)

    usage = client.messages.create(**request, tool_choice={"type": "none"}).usage

    assert usage.cache_read_input_tokens > 2_048
    assert usage.cache_creation.ephemeral_5m_input_tokens > 2_048
