"""Everything that one running sandbox shares between its requests."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from sandbox.bill import Bill
from sandbox.clock import Clock
from sandbox.control import Control
from sandbox.embedding import Embedding
from sandbox.prompt_cache import PromptCache
from sandbox.relevance import TermIndex
from sandbox.tokens import TokenCounter
from sandbox.writer import Writer

TEXTS_PER_TURN = 64


@dataclass(slots=True)
class Pace:
    """Milliseconds: before any answer, and for writing one."""

    latency_ms: float = 0.0
    generate_ms: float = 0.0


@dataclass(slots=True)
class Sandbox:
    embedding: Embedding
    tokens: TokenCounter
    writer: Writer
    pace: Pace = field(default_factory=Pace)
    clock: Clock = field(default_factory=Clock)
    cache: PromptCache = field(default_factory=PromptCache)
    bill: Bill = field(default_factory=Bill)
    control: Control = field(default_factory=Control)
    terms: TermIndex = field(default_factory=TermIndex)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, counted in turns so that other requests are not kept waiting."""
        counts: list[int] = []
        for start in range(0, len(texts), TEXTS_PER_TURN):
            counts += self.tokens.count_all(texts[start : start + TEXTS_PER_TURN])
            await asyncio.sleep(0)
        return counts


SANDBOX = web.AppKey("sandbox", Sandbox)
