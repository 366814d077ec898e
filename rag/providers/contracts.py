"""What the house asks of a paid provider, in our own words: a frozen request in, a frozen reply out.

Every adapter and every wrapper (retry, metering) has the one method of `Provider`, so they stack in any order.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from costs.usage import Usage

CHARACTERS_PER_TOKEN = 4  # a rough average of English text; only for estimates that are marked as such

DOCUMENTS_PER_UNIT = 100


class Request(Protocol):
    @property
    def model(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    def estimate(self) -> Usage:
        """What the call would be billed at least, guessed from the request alone."""
        ...


class Reply(Protocol):
    @property
    def usage(self) -> Usage: ...
    @property
    def request_id(self) -> str: ...


RequestT = TypeVar("RequestT", bound=Request, contravariant=True)
ReplyT = TypeVar("ReplyT", bound=Reply, covariant=True)


class Provider(Protocol[RequestT, ReplyT]):
    def send(self, request: RequestT) -> ReplyT:
        """The provider's reply; raises a ProviderError and nothing else."""
        ...


FIVE_MINUTES: Mapping[str, str] = {"type": "ephemeral"}
ONE_HOUR: Mapping[str, str] = {"type": "ephemeral", "ttl": "1h"}


@dataclass(frozen=True, slots=True)
class Message:
    """`text` stands last, `before` are blocks in front of it. `marked`: what ends with the last of those, or, where there are
    none, with the text, is to be kept by the provider for five minutes. The blocks are the same whether marked or not.
    """

    role: str
    text: str
    before: tuple[str, ...] = ()
    marked: bool = False

    def content(self) -> str | list[dict[str, Any]]:
        if not self.before and self.role == "user":
            return self.text
        blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in (*self.before, self.text)]
        if self.marked:
            blocks[max(0, len(self.before) - 1)]["cache_control"] = FIVE_MINUTES
        return blocks

    def characters(self) -> int:
        return sum(map(len, self.before)) + len(self.text)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One generation. `system` holds the stable blocks in order; `temperature` None = the model takes none. `keep_system`: the
    provider is asked to keep the system prompt for an hour, behind its last block.

    `on_begin` is called when the reply begins: from then on others may read what this request wrote into the prompt cache.
    `on_text` is called with each piece of the reply as it comes; None = the reply is wanted as a whole. Neither is part of
    what is asked: the body, its fingerprint and the reply are the same either way.
    """

    model: str
    system: tuple[str, ...]
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    keep_system: bool = False
    prompt: str = field(default="", compare=False)
    """which prompt this is (`hyde v3`), for the books"""
    on_begin: Callable[[], None] | None = field(default=None, compare=False, repr=False)
    on_text: Callable[[str], None] | None = field(default=None, compare=False, repr=False)

    @property
    def streamed(self) -> bool:
        return self.on_text is not None or self.on_begin is not None

    def body(self) -> dict[str, Any]:
        """The request body as it goes over the wire, in Anthropic's format."""
        system: list[dict[str, Any]] = [{"type": "text", "text": block} for block in self.system]
        if self.keep_system and system:
            system[-1]["cache_control"] = ONE_HOUR
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "system": system,
            "messages": [{"role": message.role, "content": message.content()} for message in self.messages],
        }
        return body if self.temperature is None else body | {"temperature": self.temperature}

    def fingerprint(self) -> str:
        """SHA-256 of the body in canonical JSON (sorted keys, no white space, UTF-8)."""
        canonical = json.dumps(self.body(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def prefix(self) -> str:
        return prefix_of(self.model, self.system)

    def characters(self) -> int:
        return sum(map(len, self.system)) + sum(message.characters() for message in self.messages)

    def estimate(self) -> Usage:
        return Usage(input_tokens=self.characters() // CHARACTERS_PER_TOKEN)


def prefix_of(model: str, system: Sequence[str]) -> str:
    """SHA-256 of what the provider keeps a system prompt under: the model, and everything up to the last block."""
    return hashlib.sha256(json.dumps([model, *system], ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ChatReply:
    text: str
    stop_reason: str
    model: str
    usage: Usage
    request_id: str


@dataclass(frozen=True, slots=True)
class CountRequest:
    """How many tokens a model makes of a system prompt together with the shortest message. Counting is free."""

    model: str
    system: tuple[str, ...]
    prompt: ClassVar[str] = ""

    def estimate(self) -> Usage:
        return Usage()


@dataclass(frozen=True, slots=True)
class CountReply:
    tokens: int
    request_id: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """`purpose` is `query` or `document`: some vendors embed the two differently."""

    model: str
    texts: tuple[str, ...]
    purpose: str
    dimensions: int
    prompt: ClassVar[str] = ""

    def estimate(self) -> Usage:
        return Usage(input_tokens=sum(map(len, self.texts)) // CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class EmbedReply:
    """`vectors[i]` belongs to `texts[i]`; each has the requested number of dimensions."""

    vectors: tuple[Sequence[float], ...]
    usage: Usage
    request_id: str


@dataclass(frozen=True, slots=True)
class RerankRequest:
    model: str
    query: str
    documents: tuple[str, ...]
    top_n: int
    prompt: ClassVar[str] = ""

    def estimate(self) -> Usage:
        """A search unit is one query with up to 100 documents."""
        return Usage(search_units=-(-len(self.documents) // DOCUMENTS_PER_UNIT))


@dataclass(frozen=True, slots=True)
class RerankReply:
    """`ranking` holds (index into documents, relevance), best first."""

    ranking: tuple[tuple[int, float], ...]
    usage: Usage
    request_id: str


ChatModel = Provider[ChatRequest, ChatReply]
TokenCounter = Provider[CountRequest, CountReply]
Embedder = Provider[EmbedRequest, EmbedReply]
Reranker = Provider[RerankRequest, RerankReply]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a vendor is reached. `mode` is `live` or `simulated`; `timeout_s` bounds each socket read."""

    vendor: str
    base_url: str
    api_key: str
    mode: str
    timeout_s: float

    def __repr__(self) -> str:
        return f"Endpoint({self.vendor!r}, {self.base_url!r}, mode={self.mode!r})"
