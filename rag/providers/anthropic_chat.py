"""Anthropic: a chat request in, a reply out, by the official SDK."""

import anthropic
import httpx2

from costs.usage import Usage
from rag.errors import ProviderError, ProviderMalformed, ProviderTimeout, ProviderUnavailable
from rag.providers.contracts import ChatReply, ChatRequest, Endpoint
from rag.providers.deadline_transport import bounded
from rag.providers.mapping import UNREADABLE, counted, error_for_status

NAME = "anthropic"


class AnthropicChat:
    def __init__(self, endpoint: Endpoint) -> None:
        self._client = anthropic.Anthropic(
            api_key=endpoint.api_key,
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=anthropic.Timeout(endpoint.timeout_s, connect=min(3.0, endpoint.timeout_s)),
            http_client=bounded(anthropic.DefaultHttpxClient()),
        )

    def send(self, request: ChatRequest) -> ChatReply:
        body = request.body()
        sampling = {"temperature": body.pop("temperature")} if "temperature" in body else None
        try:
            return reply_of(self._client.messages.create(**body, extra_body=sampling))
        except (anthropic.AnthropicError, httpx2.RequestError) as error:
            raise translated(error) from error
        except UNREADABLE as error:
            raise ProviderMalformed(f"anthropic: an answer that cannot be read: {error}", provider=NAME) from error


def reply_of(message: anthropic.types.Message) -> ChatReply:
    if not message.content or message.stop_reason is None or message.usage is None:
        raise ProviderMalformed("anthropic: a reply without content, stop reason or usage", provider=NAME)
    text = "".join(block.text for block in message.content if block.type == "text")
    return ChatReply(text, message.stop_reason, message.model, usage_of(message.usage), message._request_id or "")


def usage_of(usage: anthropic.types.Usage) -> Usage:
    """Our split. Without the split by lifetime, writes count as 5-minute ones (the vendor's own rule)."""
    written = counted(usage.cache_creation_input_tokens or 0)
    split = usage.cache_creation
    one_hour = counted((split.ephemeral_1h_input_tokens or 0) if split else 0)
    return Usage(
        input_tokens=counted(usage.input_tokens),
        cache_write_5m=written - one_hour,
        cache_write_1h=one_hour,
        cache_read=counted(usage.cache_read_input_tokens or 0),
        output_tokens=counted(usage.output_tokens),
    )


def translated(error: Exception) -> ProviderError:
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
        return ProviderTimeout("anthropic: no answer in time", provider=NAME)
    if isinstance(error, anthropic.APIResponseValidationError | httpx2.DecodingError):
        return ProviderMalformed("anthropic: an answer that is not JSON", provider=NAME)
    if isinstance(error, anthropic.APIStatusError):
        status = 529 if error.type == "overloaded_error" else error.status_code
        after = error.response.headers.get("retry-after")
        return error_for_status(provider=NAME, status=status, message=error.message, retry_after=after)
    return ProviderUnavailable(f"anthropic: {type(error).__name__}: {error}", provider=NAME)
