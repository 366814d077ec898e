"""How far estimates can be off, and so what of a difference they can explain. Plain Python: no Django, no clock.

A call that was cut, timed out or unreadable may not have been billed at all, so the least is nothing. At most:
- its prompt: `factor` times what was guessed from its length, and FRAMING tokens for what stands around it; 2 is beyond what
  tokenisers differ on Latin script, other scripts need more;
- its reply: the longest that is asked for, where the model charges for output;
- its searches: `factor` times those that were guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from costs.prices import EIGHT_PLACES, Price, rated
from costs.usage import PROMPT_KINDS, Usage

FACTOR = Decimal(2)
FRAMING = 16
ROUNDING = Decimal("0.00005")
"""USD: sums of amounts that were rounded one by one differ by so much"""


@dataclass(frozen=True, slots=True)
class Guessed:
    """The estimates of one model in one span: how many, what they add up to as they were booked, and their prices."""

    calls: int
    usage: Usage
    prices: tuple[Price | None, ...]


@dataclass(frozen=True, slots=True)
class Room:
    """The most that estimates can have been billed for."""

    prompt: int
    output: int
    searches: int

    def of_kind(self, kind: str) -> int:
        if kind in PROMPT_KINDS:
            return self.prompt
        return self.output if kind == "output_tokens" else self.searches


def room_of(guessed: Guessed, *, factor: Decimal, longest_reply: int) -> Room:
    writes = any(price is None or price.output_usd for price in guessed.prices)
    return Room(
        prompt=int(factor * guessed.usage.prompt_tokens) + FRAMING * guessed.calls,
        output=longest_reply * guessed.calls if writes else 0,
        searches=int(factor * guessed.usage.search_units),
    )


def unexplained(billed: Usage, usd: Decimal | None, guessed: Guessed, room: Room) -> str:
    """Why estimates do not account for what was billed beside the exact calls; empty where they do."""
    if not guessed.calls:
        return "no call of it is estimated"
    if less := [kind for kind, count in billed.as_dict().items() if count < 0]:
        return f"the provider counted less than it had told us, in {', '.join(less)}"
    for name, count, most in (
        ("prompt tokens", billed.prompt_tokens, room.prompt),
        ("output tokens", billed.output_tokens, room.output),
        ("search units", billed.search_units, room.searches),
    ):
        if count > most:
            return f"{count:,} {name} are more than its {guessed.calls:,} estimates can be: {most:,}"
    known = [price for price in guessed.prices if price is not None]
    if len(known) < len(guessed.prices):
        return "it has no price here: add a row to the price table, then `costs recost`"
    return "" if usd is None else mispriced(billed, usd, known, rounded=guessed.calls)


def mispriced(billed: Usage, usd: Decimal, known: Sequence[Price], *, rounded: int) -> str:
    """The same for the cost: it must be what the tokens cost by our prices, dearer only where long prompts are. `rounded`: how
    many amounts were.
    """
    least = min(rated(usage=billed, price=price) for price in known)
    most = max(rated(usage=billed, price=price) * dearest(price) for price in known)
    slack = ROUNDING + EIGHT_PLACES * rounded
    if least - slack <= usd <= most + slack:
        return ""
    return f"{usd:.8f} USD is not what these tokens cost by the price table: {least:.8f}"


def dearest(price: Price) -> Decimal:
    return price.tier_factor if price.tier_threshold is not None else Decimal(1)
