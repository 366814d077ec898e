"""A reply that comes piece by piece: the events of Anthropic's stream, added up."""

from dataclasses import replace

from anthropic.types import RawMessageStreamEvent

from costs.usage import Usage
from rag.errors import ProviderMalformed
from rag.providers.anthropic_usage import NAME, usage_of
from rag.providers.contracts import CHARACTERS_PER_TOKEN, ChatReply
from rag.providers.mapping import counted, worded


class Received:
    """What has come so far."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._start: Usage | None = None
        self._model = ""
        self._stop_reason: str | None = None
        self._output_tokens = 0
        self._whole = False
        self.request_id = ""

    def take(self, event: RawMessageStreamEvent) -> str:
        """Note the event; gives the text that it adds, often none."""
        match event.type:
            case "message_start":
                usage = usage_of(event.message.usage.to_dict(warnings=False))
                self._start, self._model = usage, worded(event.message.model)
            case "content_block_delta" if event.delta.type == "text_delta":
                text = worded(event.delta.text)
                self._pieces.append(text)
                return text
            case "message_delta":
                self._stop_reason = worded(event.delta.stop_reason)
                self._output_tokens = counted(event.usage.output_tokens)
            case "message_stop":
                self._whole = True
        return ""

    @property
    def begun(self) -> bool:
        return bool(self._pieces)

    def usage(self) -> Usage | None:
        """What it costs, as far as it is known: a stream says its input first, and its output last. None before it began."""
        if self._start is None:
            return None
        written = sum(map(len, self._pieces)) // CHARACTERS_PER_TOKEN
        return replace(self._start, output_tokens=self._output_tokens or max(self._start.output_tokens, written))

    def reply(self) -> ChatReply:
        """The whole reply. A stream that ends in good order without having said so was cut: raises ProviderMalformed."""
        usage = self.usage()
        if usage is None or not self._whole or self._stop_reason is None:
            message = "anthropic: the stream ended before the reply did"
            raise ProviderMalformed(message, provider=NAME, usage=usage, begun=self.begun)
        return ChatReply("".join(self._pieces), self._stop_reason, self._model, usage, self.request_id)
