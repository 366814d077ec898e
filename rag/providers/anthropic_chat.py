"""Anthropic: a chat request in, a reply out, whole or piece by piece, by the official SDK."""

import json
from typing import Any

import anthropic

from rag.errors import ProviderError, ProviderMalformed
from rag.providers.anthropic_errors import FAILURES, refused, translated
from rag.providers.anthropic_stream import Received
from rag.providers.anthropic_usage import NAME, usage_of
from rag.providers.contracts import ChatReply, ChatRequest, Endpoint
from rag.providers.deadline import Cancelled
from rag.providers.deadline_transport import bounded
from rag.providers.lean_sending import LeanHttpxClient
from rag.providers.mapping import UNREADABLE, worded


def client(endpoint: Endpoint) -> anthropic.Anthropic:
    """The SDK's client, which obeys our deadlines and leaves retrying to us."""
    return anthropic.Anthropic(
        api_key=endpoint.api_key,
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=anthropic.Timeout(endpoint.timeout_s, connect=min(3.0, endpoint.timeout_s)),
        http_client=bounded(LeanHttpxClient(follow_redirects=False)),
    )


class AnthropicChat:
    def __init__(self, endpoint: Endpoint) -> None:
        self._client = client(endpoint)

    def send(self, request: ChatRequest) -> ChatReply:
        received = Received()
        try:
            body = arguments(request)
            if request.streamed:
                return self._streamed(body, request, received)
            answer = self._client.messages.with_raw_response.create(**body)
            return reply_of(json.loads(answer.http_response.content), answer.headers.get("request-id", ""))
        except FAILURES as error:
            raise noted(translated(error), received) from error
        except UNREADABLE as error:
            malformed = ProviderMalformed(f"anthropic: an answer that cannot be read: {error}", provider=NAME)
            raise noted(malformed, received) from error
        except Cancelled as cancelled:
            cancelled.usage, cancelled.request_id = received.usage(), received.request_id
            raise

    def _streamed(self, body: dict[str, Any], request: ChatRequest, received: Received) -> ChatReply:
        with self._client.messages.create(**body, stream=True) as events:
            received.request_id = events.response.headers.get("request-id", "")
            for event in events:
                text = received.take(event)
                if event.type == "message_start" and request.on_begin is not None:
                    request.on_begin()
                if text and request.on_text is not None:
                    request.on_text(text)
            return received.reply()


def arguments(request: ChatRequest) -> dict[str, Any]:
    """The body as the SDK takes it. Its signature knows no temperature any more, the API still does."""
    body = request.body()
    if "temperature" in body:
        body["extra_body"] = {"temperature": body.pop("temperature")}
    return body


def reply_of(message: dict[str, Any], request_id: str) -> ChatReply:
    """The SDK's own model of a message takes as long to build as the rest of the call, so the JSON is read as it came."""
    if "error" in message:
        raise refused(message, status=200, message="an error inside a success")
    if not message["content"] or message["stop_reason"] is None or message["usage"] is None:
        raise ProviderMalformed("anthropic: a reply without content, stop reason or usage", provider=NAME)
    text = "".join(worded(block["text"]) for block in message["content"] if block["type"] == "text")
    return ChatReply(
        text, worded(message["stop_reason"]), worded(message["model"]), usage_of(message["usage"]), request_id
    )


def noted(error: ProviderError, received: Received) -> ProviderError:
    """The error with what the broken stream had said."""
    error.begun = received.begun
    error.request_id = received.request_id
    so_far = received.usage()
    if so_far is not None:
        error.usage, error.usage_so_far = so_far, True
    return error
