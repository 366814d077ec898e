"""What answering one question needs, by the names that the pipeline knows it by. Plain Python."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from prompts.texts import PromptText
from rag.errors import ProviderError
from rag.modules import Module
from rag.providers.contracts import ChatModel, Embedder, Reranker
from rag.trace import Trace
from rag.transforms import Transformer
from rag.values import Hit, Passage, Source

log = logging.getLogger(__name__)


class DenseIndex(Protocol):
    def search(self, *, vectors: Sequence[Sequence[float]], limit: int) -> tuple[tuple[Hit, ...], ...]: ...


class LexicalIndex(Protocol):
    def search(self, *, query: str, limit: int) -> tuple[Hit, ...]: ...


class Passages(Protocol):
    def load(self, keys: Sequence[str]) -> dict[str, Passage]:
        """The live passages among those keys."""
        ...


class Listener(Protocol):
    """Is told of an answer while it is made. What it gets by `delta` adds up to the text of the answer."""

    def opened(self, trace: Trace) -> None: ...
    def sources(self, sources: Sequence[Source]) -> None: ...
    def delta(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Models:
    """Which model does what, and whether it takes a temperature."""

    answer: str
    embedding: str
    dimensions: int
    rerank: str
    max_tokens: int
    temperature: float | None


@dataclass(frozen=True, slots=True)
class Fallback:
    """The second vector space. A query embedded here is searched in its own index and never in the first one's."""

    embedder: Embedder
    model: str
    dimensions: int
    dense: DenseIndex


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that answering one question needs, chosen and connected by `rag.wiring`."""

    module: Module
    models: Models
    prompt: PromptText
    transformer: Transformer
    embedder: Embedder
    dense: DenseIndex
    lexical: LexicalIndex | None
    reranker: Reranker
    chat: ChatModel
    passages: Passages
    fallback: Fallback | None = None
    keep_system: Callable[[], bool] = never
    """whether the provider is asked to keep the system prompt"""


def degrade(how: str, error: ProviderError, parts: Parts, trace: Trace) -> None:
    """Go on without what failed, if the module may; otherwise the error goes its way."""
    if not parts.module.fallbacks:
        raise error
    if how not in trace.degraded:
        trace.degraded = (*trace.degraded, how)
    log.warning("%s: %s", how, error, extra={"trace_id": trace.trace_id})
