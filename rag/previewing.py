"""What the next version of a prompt would send, and what its stable part would cost, before anybody has saved it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.core.cache import caches

from costs.prices import Price, cost, uses_to_break_even
from costs.usage import Usage
from prompts.texts import PromptText
from rag import ask, budgeting, provider_stack, wiring
from rag.errors import RagError
from rag.fencing import fenced_question
from rag.finding import sources_for
from rag.generate import generation_request
from rag.providers.contracts import ChatRequest, CountRequest, Message, prefix_of
from rag.providers.deadline import deadline
from rag.trace import Trace, new_trace_id
from rag.transforms import MAX_TOKENS
from rag.values import Caller, Question, Source

KIND = "preview"
COUNTED_FOR_S = 86_400
KEPT_PROMPTS = frozenset({"answer"})
"""the prompts whose text the provider is asked to keep"""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The stable part of a prompt: its tokens as the provider counts them, and what it costs to have it kept for an hour.

    `minimum`: the shortest that the model keeps, None = not known. `write_usd`, `read_usd` and `send_usd`: to write it once,
    to read it and to send it unkept, None = unpriced. `pays_from`: with how many questions in an hour keeping it pays.
    """

    model: str
    mode: str
    tokens: int
    wanted: bool
    minimum: int | None
    write_usd: Decimal | None
    read_usd: Decimal | None
    send_usd: Decimal | None
    pays_from: int | None

    @property
    def kept(self) -> bool:
        return self.wanted and self.minimum is not None and self.tokens >= self.minimum


@dataclass(frozen=True, slots=True)
class Preview:
    """The request as it would go over the wire, with the sources in it. `trace` is of the search, if there was one."""

    request: ChatRequest
    sources: tuple[Source, ...]
    trace: Trace | None


def models_by_prompt() -> Mapping[str, str]:
    """Which model reads which prompt; all that are not named are read by the small one."""
    return {"answer": settings.ANSWER_MODEL, "judge": settings.JUDGE_MODEL}


def model_of(prompt: str) -> str:
    return models_by_prompt().get(prompt, settings.TRANSFORM_MODEL)


def prefix_of_prompt(text: PromptText, *, now: datetime) -> Prefix:
    """Raises ProviderError when the tokens cannot be counted. The same text is counted once a day."""
    model = model_of(text.name)
    price = wiring.latest_prices().find(provider="anthropic", model=model, at=now)
    blocks = text.system_blocks()
    tokens = counted(model, blocks) - counted(model, ()) if blocks else 0
    write, read, send = (priced(usage, price) for usage in uses_of(tokens))
    return Prefix(
        model=model,
        mode=settings.PROVIDERS["anthropic"]["mode"],
        tokens=tokens,
        wanted=text.name in KEPT_PROMPTS,
        minimum=price.min_cacheable_tokens if price else None,
        write_usd=write,
        read_usd=read,
        send_usd=send,
        pays_from=uses_to_break_even(write_usd=price.cache_write_1h_usd, price=price) if price else None,
    )


def uses_of(tokens: int) -> tuple[Usage, Usage, Usage]:
    return Usage(cache_write_1h=tokens), Usage(cache_read=tokens), Usage(input_tokens=tokens)


def priced(usage: Usage, price: Price | None) -> Decimal | None:
    return cost(usage=usage, price=price) if price else None


def counted(model: str, blocks: tuple[str, ...]) -> int:
    key = f"tokens:{prefix_of(model, blocks)}"
    known: int | None = caches["default"].get(key)
    if known is None:
        counter = provider_stack.token_counter(settings.TRANSFORM_TIMEOUT_S)
        known = counter.send(CountRequest(model, blocks)).tokens
        caches["default"].set(key, known, timeout=COUNTED_FOR_S)
    return known


def preview(*, text: PromptText, question: Question, caller: Caller) -> Preview:
    """The request that this text would make of the question. Only the answer prompt's needs a search, which is traced and paid.

    Raises RagError.
    """
    if text.name == "answer":
        return answer_preview(text, question, caller)
    ask.check_question(question.text)
    message = Message("user", fenced_question(question.text))
    request = ChatRequest(model_of(text.name), text.system_blocks(), (message,), MAX_TOKENS.get(text.name, 0))
    return Preview(request, (), None)


def answer_preview(text: PromptText, question: Question, caller: Caller) -> Preview:
    trace = ask.opened(question.text, caller, new_trace_id(), KIND)
    trace.module, trace.corpus = question.module, question.corpus
    wired: wiring.Wired | None = None
    try:
        ask.check_question(question.text)
        wired = wiring.parts_for(question)
        ask.describe(trace, wired)
        trace.prompt_version, trace.prompt_hash = None, text.content_hash
        if wired.hard_limits:
            budgeting.reserve(wired, trace, None)
        with deadline(settings.REQUEST_TIMEOUT_S):
            _, trace.sources = sources_for(question.text, wired.parts, trace)
        trace.status, trace.error = 200, None
        return Preview(request_of(text, question, wired, trace.sources), trace.sources, trace)
    except RagError as error:
        trace.status, trace.error = error.status, {"code": error.code, "message": str(error)}
        raise
    finally:
        if wired is not None:
            ask.note_calls(trace, wired.meter)
        ask.record(trace, open_outages=wired.open_outages if wired else 0)
        if wired is not None and wired.hard_limits:
            budgeting.settle(trace)


def request_of(text: PromptText, question: Question, wired: wiring.Wired, sources: tuple[Source, ...]) -> ChatRequest:
    models = wired.models
    return generation_request(
        question=question.text,
        passages=[source.passage for source in sources],
        prompt=text,
        model=models.answer,
        max_tokens=models.max_tokens,
        temperature=models.temperature,
        keep_system=wired.module.prompt_cache
        and wiring.keeping_pays(partial(wiring.uses_of, text), wired.meter.prices),
    )
