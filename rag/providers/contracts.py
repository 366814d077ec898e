"""What the house asks of a paid provider, in our own words: a frozen request in, a frozen reply out.

Every adapter and every wrapper (retry, metering) has the one method of `Provider`, so they stack in any order.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from costs.usage import Usage

CHARACTERS_PER_TOKEN = 4  # a rough average of English text; only for estimates that are marked as such

DOCUMENTS_PER_UNIT = 100


class Request(Protocol):
    @property
    def model(self) -> str: ...
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


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One generation. `system` holds the stable blocks in order; `temperature` None = the model takes none.

    `on_text` is called with each piece of the reply as it comes; None = the reply is wanted as a whole. It is no part of what
    is asked: the body, its fingerprint and the reply are the same either way.
    """

    model: str
    system: tuple[str, ...]
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    on_text: Callable[[str], None] | None = field(default=None, compare=False, repr=False)

    def body(self) -> dict[str, Any]:
        """The request body as it goes over the wire, in Anthropic's format."""
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "system": [{"type": "text", "text": block} for block in self.system],
            "messages": [{"role": message.role, "content": message.text} for message in self.messages],
        }
        return body if self.temperature is None else body | {"temperature": self.temperature}

    def fingerprint(self) -> str:
        """SHA-256 of the body in canonical JSON (sorted keys, no white space, UTF-8)."""
        canonical = json.dumps(self.body(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def characters(self) -> int:
        return sum(map(len, self.system)) + sum(len(message.text) for message in self.messages)

    def estimate(self) -> Usage:
        return Usage(input_tokens=self.characters() // CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class ChatReply:
    text: str
    stop_reason: str
    model: str
    usage: Usage
    request_id: str


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """`purpose` is `query` or `document`: some vendors embed the two differently."""

    model: str
    texts: tuple[str, ...]
    purpose: str
    dimensions: int

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
