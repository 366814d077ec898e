"""Doubles that come in by the front door: providers that follow a script, and indexes and passages kept in memory.

Each keeps its requests in `history`, and notes its name in `calls`, a list that several may share to tell who came first.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from costs.usage import Usage
from rag.errors import ProviderError
from rag.providers.contracts import ChatReply, ChatRequest, EmbedReply, EmbedRequest, RerankReply, RerankRequest
from rag.values import Hit, Passage

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")
USAGE = Usage(input_tokens=100, output_tokens=10)


class Scripted(Generic[RequestT, ReplyT]):
    """Gives back what was enqueued, in order; an error is raised. Asked for more than its script holds, it fails the test."""

    name = "scripted"

    def __init__(self, calls: list[str] | None = None) -> None:
        self.history: list[RequestT] = []
        self._calls = calls if calls is not None else []
        self._script: deque[ReplyT | ProviderError] = deque()

    def enqueue(self, *steps: ReplyT | ProviderError) -> None:
        self._script.extend(steps)

    def send(self, request: RequestT) -> ReplyT:
        self.history.append(request)
        self._calls.append(self.name)
        step = self._script.popleft() if self._script else self.unscripted(request)
        if isinstance(step, ProviderError):
            raise step
        return step

    def unscripted(self, request: RequestT) -> ReplyT:
        raise AssertionError(f"{self.name} was asked for more than its script holds: {request}")


class ScriptedChat(Scripted[ChatRequest, ChatReply]):
    name = "chat"


class ScriptedEmbedder(Scripted[EmbedRequest, EmbedReply]):
    """Without a script: the i-th text gets the vector (i, 0, 0, ...)."""

    name = "embed"

    def unscripted(self, request: EmbedRequest) -> EmbedReply:
        zeros = (0.0,) * (request.dimensions - 1)
        vectors = tuple((float(number), *zeros) for number in range(len(request.texts)))
        return EmbedReply(vectors, Usage(input_tokens=len(request.texts)), "req_embed")


class ScriptedReranker(Scripted[RerankRequest, RerankReply]):
    name = "rerank"


class FakeDense:
    """The i-th vector of a search gets the i-th ranking, cut to the limit."""

    def __init__(self, *rankings: Sequence[Hit], calls: list[str] | None = None) -> None:
        self.history: list[tuple[Sequence[Sequence[float]], int]] = []
        self._rankings = rankings
        self._calls = calls if calls is not None else []

    def search(self, *, vectors: Sequence[Sequence[float]], limit: int) -> tuple[tuple[Hit, ...], ...]:
        self.history.append((vectors, limit))
        self._calls.append("dense")
        return tuple(tuple(self._rankings[number][:limit]) for number in range(len(vectors)))


class FakeLexical:
    """Rankings by query, cut to the limit; a query that it does not know finds nothing."""

    def __init__(self, rankings: Mapping[str, Sequence[Hit]], calls: list[str] | None = None) -> None:
        self.history: list[tuple[str, int]] = []
        self._rankings = rankings
        self._calls = calls if calls is not None else []

    def search(self, *, query: str, limit: int) -> tuple[Hit, ...]:
        self.history.append((query, limit))
        self._calls.append("lexical")
        return tuple(self._rankings.get(query, ())[:limit])


class FakePassages:
    """The passages that are live."""

    def __init__(self, *passages: Passage) -> None:
        self.history: list[tuple[str, ...]] = []
        self._live = {passage.key: passage for passage in passages}

    def load(self, keys: Sequence[str]) -> dict[str, Passage]:
        self.history.append(tuple(keys))
        return {key: self._live[key] for key in keys if key in self._live}


def said(text: str, *, usage: Usage = USAGE, stop_reason: str = "end_turn") -> ChatReply:
    return ChatReply(text, stop_reason, "claude-test", usage, "req_chat")


def ordered(*ranking: tuple[int, float]) -> RerankReply:
    """A rerank of (index, relevance) pairs, best first."""
    return RerankReply(ranking, Usage(search_units=1), "req_rerank")


def hits(*keys: str) -> tuple[Hit, ...]:
    """A ranking of those keys with falling scores from 1."""
    return tuple(Hit(key, 1.0 / rank) for rank, key in enumerate(keys, 1))


def passage(key: str, text: str = "Leave lapses on 31 March.", heading: str = "Leave > Carrying over") -> Passage:
    source = key.partition("/")[0]
    return Passage(key, "A page", heading, text, None, 0, len(text), source)
