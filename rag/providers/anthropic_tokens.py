"""Anthropic: how many tokens a model makes of a system prompt, by the endpoint that counts them. It is free of charge."""

from anthropic import omit

from rag.errors import ProviderMalformed
from rag.providers.anthropic_chat import client
from rag.providers.anthropic_errors import FAILURES, translated
from rag.providers.anthropic_usage import NAME
from rag.providers.contracts import CountReply, CountRequest, Endpoint
from rag.providers.mapping import UNREADABLE, counted

SHORTEST = "."


class AnthropicTokens:
    def __init__(self, endpoint: Endpoint) -> None:
        self._client = client(endpoint)

    def send(self, request: CountRequest) -> CountReply:
        try:
            count = self._client.messages.count_tokens(
                model=request.model,
                system=[{"type": "text", "text": block} for block in request.system] or omit,
                messages=[{"role": "user", "content": SHORTEST}],
            )
            return CountReply(counted(count.input_tokens), count._request_id or "")
        except FAILURES as error:
            raise translated(error) from error
        except UNREADABLE as error:
            raise ProviderMalformed(f"anthropic: an answer that cannot be read: {error}", provider=NAME) from error
