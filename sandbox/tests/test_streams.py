from sandbox.tests.clients import claude
from sandbox.tests.test_messages import ANSWERING


def names_of(server, **changes: object) -> list[str]:
    body = ANSWERING | {"stream": True} | changes
    with server.http.stream("POST", "/anthropic/v1/messages", json=body, headers={"x-api-key": "k"}) as answer:
        return [line.removeprefix("event: ") for line in answer.iter_lines() if line.startswith("event: ")]


def test_the_events_come_in_the_documented_order(server):
    names = names_of(server)

    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert set(names[3:-3]) == {"content_block_delta"}
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_the_stream_says_what_the_whole_answer_says(server, key):
    client = claude(server, key=key)
    whole = client.messages.create(**ANSWERING)

    with client.messages.stream(**ANSWERING) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()

    assert text == whole.content[0].text == "".join(block.text for block in final.content if block.type == "text")
    assert final.stop_reason == "end_turn"
    assert final.usage.input_tokens == whole.usage.input_tokens
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_the_first_event_counts_one_output_token(server, key):
    events = list(claude(server, key=key).messages.create(**ANSWERING, stream=True))

    assert events[0].message.usage.output_tokens == 1
    assert events[-2].usage.output_tokens > 1


def test_proxies_are_told_not_to_buffer(server):
    body = ANSWERING | {"stream": True}

    answer = server.http.post("/anthropic/v1/messages", json=body, headers={"x-api-key": "k"})

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["request-id"].startswith("req_")


def test_writing_takes_as_long_as_was_set(server, key):
    server.pace(generate_ms=300)

    with claude(server, key=key).messages.stream(**ANSWERING) as stream:
        stream.get_final_message()
        elapsed = stream.response.elapsed.total_seconds()

    assert 0.25 < elapsed < 1.5
