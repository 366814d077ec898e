"""What requests cost, by component, and the least that they could have cost. Plain Python; money is Decimal, USD.

The bound is what somebody pays who knows the whole log but is held to the rules of the service: an answer may be given again
as long as it is fresh, a follow-up never, and the provider keeps a prompt for an hour or for five minutes. Each block of a
prompt is written, read or sent as suits it best. Why nothing can be cheaper:

- A question needs at least as many generations as windows of freshness that cover its requests, and none of them costs less
  than the cheapest that was measured for it. Which of them began a session is taken as it was measured.
- The stable prefix stands in all prompts, and a block of a session in all later ones, also of another session that went the
  same way. `cheapest` tries every way of paying for such a block; the service, too, must choose one of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from costs.prices import MILLION, Price, cost
from costs.usage import Usage
from rag.traffic import Event

ONE_HOUR_S = 3_600
FIVE_MINUTES_S = 300
READY_S = 5
"""An answer is as old as the moment when it was ready, not as the request for it: this much later at most."""
COMPONENTS = ("transform", "embed", "rerank", "prefix", "sources", "output")
IN_PROMPT_ORDER = ("cache_read", "cache_write_1h", "cache_write_5m", "input_tokens")
ZERO = Decimal(0)
NEVER = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Spent:
    """What one request cost: USD before the generation, and what the generation used. Nothing, for an answer given again."""

    transform: Decimal = ZERO
    embed: Decimal = ZERO
    rerank: Decimal = ZERO
    generation: Usage = Usage()

    @property
    def generated(self) -> bool:
        return self.generation.prompt_tokens > 0

    @property
    def before(self) -> Decimal:
        return self.transform + self.embed + self.rerank

    @property
    def kept_tokens(self) -> int:
        """As much of the prompt as was written to the provider's cache or read from it."""
        return self.generation.prompt_tokens - self.generation.input_tokens


@dataclass(frozen=True, slots=True)
class Request:
    """`answered` False: the sources did not hold the answer, which is told to all who ask in that moment and then not kept.

    `blocks`: in a session, what the prompt says between the stable prefix and its last mark. Empty for a lone question, of
    which nothing is marked.
    """

    event: Event
    spent: Spent
    answered: bool = True
    blocks: tuple[str, ...] = ()


def by_component(spent: Iterable[Spent], *, prefix: int, price: Price) -> dict[str, Decimal]:
    """USD in all. `prefix`: the tokens at the beginning of every prompt; `sources`: everything behind them."""
    sums = dict.fromkeys(COMPONENTS, ZERO)
    for each in spent:
        stable, rest = divided(each.generation, at=prefix)
        parts = (
            each.transform,
            each.embed,
            each.rerank,
            cost(usage=stable, price=price),
            cost(usage=replace(rest, output_tokens=0), price=price),
            cost(usage=Usage(output_tokens=rest.output_tokens), price=price),
        )
        for name, amount in zip(COMPONENTS, parts, strict=True):
            sums[name] += amount
    return sums


def divided(usage: Usage, *, at: int) -> tuple[Usage, Usage]:
    """The first `at` tokens of the prompt, and the rest with the output. What is read stands first, what is uncached last."""
    first: dict[str, int] = {}
    for name in IN_PROMPT_ORDER:
        first[name] = min(at, getattr(usage, name))
        at -= first[name]
    return Usage(**first), replace(usage, **{name: getattr(usage, name) - tokens for name, tokens in first.items()})


def prefix_tokens(spent: Iterable[Spent]) -> int:
    """The length of the stable prefix: it alone is written for an hour."""
    return max((each.generation.cache_write_1h for each in spent), default=0)


def prompt_hit_rate(spent: Iterable[Spent]) -> float | None:
    """Of the prompt tokens that were marked to be kept, the share that was read and not written. None: nothing was marked."""
    usage = sum((each.generation for each in spent), Usage())
    kept = usage.prompt_tokens - usage.input_tokens
    return usage.cache_read / kept if kept else None


def least(requests: Sequence[Request], *, price: Price, fresh_s: int, refusals_kept: bool = False) -> Decimal:
    """USD that the log costs at least. `fresh_s`: how long an answer is given again.

    `refusals_kept`: the bound under another rule, by which `the sources do not hold it` may be given again as well.
    """
    prefix = prefix_tokens(request.spent for request in requests)
    follow_ups = [request for request in requests if request.event.turn > 1 and request.spent.generated]
    total = sum((uncached(request.spent, price) for request in follow_ups), ZERO)
    generated_at = [request.event.at_s for request in follow_ups]
    for same in asked_alike(request for request in requests if request.event.turn == 1):
        shared = refusals_kept or any(request.answered for request in same)
        length_s = READY_S + (fresh_s if shared else 0)
        starts = windows([request.event.at_s for request in same], length_s=length_s)
        total += generations(len(starts), same, prefix, price)
        generated_at += starts
    total += prefix * cheapest(sorted(generated_at), price.cache_write_1h_usd, ONE_HOUR_S, price)
    return total + conversations(requests, prefix, price)


def asked_alike(requests: Iterable[Request]) -> list[list[Request]]:
    """By key, in the order of time."""
    groups = defaultdict(list)
    for request in requests:
        groups[request.event.key].append(request)
    return list(groups.values())


def windows(times: Sequence[int], *, length_s: int) -> list[int]:
    """Where windows begin that cover all times, as few as possible: each begins at the first time that none covers yet."""
    starts: list[int] = []
    for at_s in times:
        if not starts or at_s > starts[-1] + length_s:
            starts.append(at_s)
    return starts


def generations(needed: int, same: Sequence[Request], prefix: int, price: Price) -> Decimal:
    """The least that so many generations of one question cost, without the stable prefix and the blocks of sessions."""
    made = [request for request in same if request.spent.generated]
    begun = [uncached(request.spent, price) for request in made if request.blocks]
    lone = [alone(request.spent, prefix, price) for request in made if not request.blocks]
    in_sessions = min(needed, len(begun))
    return in_sessions * min(begun, default=ZERO) + (needed - in_sessions) * min(lone, default=ZERO)


def alone(spent: Spent, prefix: int, price: Price) -> Decimal:
    """A generation without its stable prefix, with nothing else of it marked."""
    sent = Usage(input_tokens=spent.generation.prompt_tokens - prefix, output_tokens=spent.generation.output_tokens)
    return spent.before + cost(usage=sent, price=price)


def uncached(spent: Spent, price: Price) -> Decimal:
    """What of a generation can never come from the provider's cache."""
    sent = Usage(input_tokens=spent.generation.input_tokens, output_tokens=spent.generation.output_tokens)
    return spent.before + cost(usage=sent, price=price)


def conversations(requests: Sequence[Request], prefix: int, price: Price) -> Decimal:
    """What the blocks of sessions cost, each wherever it stands in a prompt."""
    told = [request for request in requests if request.blocks and request.spent.generated]
    ends = {each.blocks: each.spent.kept_tokens - prefix for each in told if each.spent.kept_tokens > prefix}
    tokens: dict[tuple[str, ...], int] = {}
    times = defaultdict(list)
    for request in told:
        before = 0
        for blocks in beginnings(request.blocks):
            if blocks in ends:
                tokens[blocks], before = max(0, ends[blocks] - before), ends[blocks]
                times[blocks].append(request.event.at_s)
    write_usd, kept_s = price.cache_write_5m_usd, FIVE_MINUTES_S + READY_S
    return sum((tokens[each] * cheapest(at, write_usd, kept_s, price) for each, at in times.items()), ZERO)


def beginnings(blocks: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """From the shortest to all of it."""
    return (blocks[:length] for length in range(1, len(blocks) + 1))


def cheapest(times: Sequence[int], write_usd: Decimal, kept_s: int, price: Price) -> Decimal:
    """The least that one token costs that stands in the prompts of those times: USD, of all ways to send, write and read it.

    `write_usd` is per million tokens. A token that was written or read less than `kept_s` ago can be read.
    """
    gone, kept = ZERO, NEVER  # the least paid so far, with the token not kept and kept
    for number, at_s in enumerate(times):
        if number and at_s - times[number - 1] > kept_s:
            gone, kept = min(gone, kept), NEVER
        best = min(gone, kept)
        gone, kept = best + price.input_usd, min(best + write_usd, kept + price.cache_read_usd)
    return min(gone, kept) / MILLION
