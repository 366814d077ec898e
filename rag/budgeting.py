"""A question and the hard limits on spending: what it may cost at most is reserved, what it did cost is settled.

The reservation is an upper bound, not an average: with it no number of questions at once passes a limit, and the price is that
a question is refused when less is left than the dearest answer of its kind would cost. What can cost more than was reserved: a
generation that the provider billed although it broke off, and that was then tried again (`RetryPolicy`).
"""

import logging
from decimal import Decimal

from django.conf import settings
from django.db import Error as DatabaseUnavailable
from django.utils import timezone

from costs import budgets
from costs.budgets import LimitReached, Spender
from costs.prices import cost
from costs.spend import current_mode
from costs.usage import Usage
from rag import clock
from rag.errors import BudgetExceeded
from rag.generate import SOURCES_MAX_CHARACTERS
from rag.trace import Trace
from rag.values import Conversation
from rag.wiring import Wired

log = logging.getLogger(__name__)

CHARACTERS_PER_TOKEN = 3
"""fewer than English text has; a bound must not be an average"""
FENCES = 8_000
"""characters: the question, at its longest, and what stands around it and around the sources"""
TRANSFORM = Usage(input_tokens=4_000, output_tokens=250)
EMBEDDINGS = Usage(input_tokens=8_000)
RERANK = Usage(search_units=1)


def reserve(wired: Wired, trace: Trace, conversation: Conversation | None) -> None:
    """Raises BudgetExceeded."""
    spender = Spender(trace.trace_id, trace.api_key_id, wired.serving.corpus)
    estimate = dearest(wired, conversation)
    try:
        budgets.reserve(spender=spender, estimate_usd=estimate, mode=current_mode(), now=clock.now())
    except LimitReached as error:
        told = f"{error}; new answers are given again from {timezone.localtime(error.resets_at):%Y-%m-%d %H:%M %Z}"
        raise BudgetExceeded(told, resets_at=error.resets_at) from error


def settle(trace: Trace) -> None:
    """Put what the request did cost in the place of what it had reserved, if it had."""
    mode = current_mode()
    costs = (attempt.cost_usd for attempt in trace.attempts if attempt.provider_mode == mode)
    try:
        budgets.settle(trace_id=trace.trace_id, actual_usd=sum((each for each in costs if each), Decimal(0)))
    except DatabaseUnavailable:
        log.exception("reservation not settled; it expires", extra={"trace_id": trace.trace_id})


def dearest(wired: Wired, conversation: Conversation | None) -> Decimal:
    """USD that a question costs at most when every call is made once, with nothing read from the provider's cache."""
    at = clock.now()
    calls = [("anthropic", wired.models.answer, generation(wired, conversation))]
    calls.append(("voyage", wired.models.embedding, EMBEDDINGS))
    if wired.module.rerank:
        calls.append(("cohere", wired.models.rerank, RERANK))
    transforms = (2 if wired.module.transform != "simple" else 0) + (1 if conversation is not None else 0)
    calls += [("anthropic", settings.TRANSFORM_MODEL, TRANSFORM)] * transforms
    priced = (
        (wired.meter.prices.find(provider=provider, model=model, at=at), usage) for provider, model, usage in calls
    )
    return sum((cost(usage=usage, price=price) for price, usage in priced if price is not None), Decimal(0))


def generation(wired: Wired, conversation: Conversation | None) -> Usage:
    """The longest prompt, all of it written to the provider's cache at the dearest rate, and the longest answer."""
    system = sum(map(len, wired.prompt.system_blocks()))
    shown = SOURCES_MAX_CHARACTERS + FENCES + characters(conversation)
    return Usage(
        cache_write_1h=system // CHARACTERS_PER_TOKEN,
        cache_write_5m=shown // CHARACTERS_PER_TOKEN,
        output_tokens=wired.models.max_tokens,
    )


def characters(conversation: Conversation | None) -> int:
    """Of the earlier turns that are shown again."""
    exchanges = conversation.exchanges if conversation is not None else ()
    return sum(
        len(each.question) + len(each.reply) + sum(len(source.passage.text) for source in each.sources)
        for each in exchanges
    )
