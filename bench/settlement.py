"""The application's ledger held against the sandbox's bill: call by call, and in all once its estimates are settled.

What the provider counted for us (`estimated` false) must be equal in every token and to the last digit: by the provider's
request id where the ledger knows it, otherwise as one of the calls that are left with the same model, tokens and cost. What is
left on the bill then must each meet an estimate of the same model whose call was under way when it was billed.

Then `manage.py costs reconcile --settle` sets the estimates right, by the reports that the sandbox serves for Anthropic and
OpenAI and by the file that it exports for Voyage and Cohere: what an operator could give it as well. After that the sums of
each provider, adjustments included, must be the bill's in every kind of token and to the last digit.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx

from bench.serving import manage

REPORTED, EXPORTED = ("anthropic", "openai"), ("voyage", "cohere")
Tokens = tuple[int, ...]
COLUMNS = ("input_tokens", "cache_write_5m", "cache_write_1h", "cache_read", "output_tokens", "search_units")
BILLED_AS = (
    ("input_tokens", "total_tokens"),
    ("cache_write_5m_tokens",),
    ("cache_write_1h_tokens",),
    ("cache_read_tokens",),
    ("output_tokens",),
    ("search_units",),
)
CENT = Decimal("0.00000001")
SLACK_S = 0.05
"""How far the moment of billing may lie outside of the call, by the clocks."""


@dataclass(frozen=True, slots=True)
class Booked:
    """A ledger entry. Times are Unix seconds."""

    trace_id: str
    provider: str
    model: str
    outcome: str
    request_id: str
    estimated: bool
    began: float
    ended: float
    tokens: Tokens
    usd: Decimal

    def fits(self, billed: "Billed", *, late_s: float) -> bool:
        same = (self.provider, self.model) == (billed.provider, billed.model)
        return same and self.began - SLACK_S <= billed.at <= self.ended + late_s

    def told(self) -> str:
        return f"trace {self.trace_id}: {self.provider} {self.model} {self.outcome} {self.tokens} {self.usd} USD"


@dataclass(frozen=True, slots=True)
class Billed:
    provider: str
    model: str
    request_id: str
    at: float
    tokens: Tokens
    usd: Decimal

    def told(self) -> str:
        at = datetime.fromtimestamp(self.at, UTC).time()
        return f"{self.request_id} at {at}: {self.provider} {self.model} {self.tokens} {self.usd} USD"


@dataclass(frozen=True, slots=True)
class Settlement:
    """`by_id` and `alike`: exact entries found on the bill. `estimates`: with what was billed for them, None = nothing was."""

    by_id: tuple[Booked, ...]
    alike: tuple[Booked, ...]
    free: tuple[Booked, ...]
    estimates: tuple[tuple[Booked, Billed | None], ...]
    mistaken: tuple[str, ...]
    """entries that are not on the bill, or otherwise"""
    unbooked: tuple[Billed, ...]
    """billed, and not in the ledger"""

    @property
    def wrong(self) -> tuple[str, ...]:
        return (*self.mistaken, *(f"billed, not in the ledger: {each.told()}" for each in self.unbooked))


CALLS = (
    "SELECT trace_id, provider, model, outcome, request_id, estimated, at, latency_ms, cost_usd, "  # noqa: S608 - our own names
    f"{', '.join(COLUMNS)} FROM costs_ledgerentry WHERE correction = 0 ORDER BY at"
)
"""The rows that `booked` takes; times have to be UTC."""


def ledger(database: Path) -> list[Booked]:
    with closing(sqlite3.connect(database)) as connection:
        return [booked(row) for row in connection.execute(CALLS)]


def booked(row: Sequence[object]) -> Booked:
    trace_id, provider, model, outcome, request_id, estimated, at, latency_ms, usd, *tokens = row
    began = datetime.fromisoformat(str(at)).replace(tzinfo=UTC).timestamp()
    return Booked(
        trace_id=str(trace_id),
        provider=str(provider),
        model=str(model),
        outcome=str(outcome),
        request_id=str(request_id),
        estimated=bool(estimated),
        began=began,
        ended=began + float(str(latency_ms)) / 1000,
        tokens=tuple(int(str(count)) for count in tokens),
        usd=Decimal(str(usd)).quantize(CENT),
    )


def bill(sandbox: str) -> list[Billed]:
    entries = httpx.get(f"{sandbox}/_bill", timeout=30).raise_for_status().json()["entries"]
    return [
        Billed(
            provider=entry["provider"],
            model=entry["model"],
            request_id=entry["request_id"],
            at=datetime.fromisoformat(entry["at"]).timestamp(),
            tokens=tuple(sum(entry["usage"].get(name, 0) for name in names) for names in BILLED_AS),
            usd=Decimal(entry["cost_usd"]),
        )
        for entry in entries
    ]


def settled(ledger: Iterable[Booked], bill: Iterable[Billed], *, late_s: float) -> Settlement:
    """`late_s`: how long after its client had gone a call may be billed."""
    left = {each.request_id: each for each in bill}
    exact: list[Booked] = []
    estimated: list[Booked] = []
    free: list[Booked] = []
    for entry in ledger:
        (estimated if entry.estimated else exact if entry.usd else free).append(entry)
    by_id, wrong = paired_by_id([entry for entry in exact if entry.request_id], left)
    alike, unbilled = paired_alike([entry for entry in exact if not entry.request_id], left, late_s)
    estimates = tuple(paired_in_time(estimated, left, late_s))
    return Settlement(tuple(by_id), tuple(alike), tuple(free), estimates, (*wrong, *unbilled), tuple(left.values()))


def paired_by_id(entries: list[Booked], left: dict[str, Billed]) -> tuple[list[Booked], list[str]]:
    found, wrong = [], []
    for entry in entries:
        billed = left.pop(entry.request_id, None)
        if billed is None:
            wrong.append(f"in the ledger, not billed: {entry.told()}")
        elif (entry.provider, entry.tokens, entry.usd) != (billed.provider, billed.tokens, billed.usd):
            wrong.append(f"not the same: {entry.told()}; billed {billed.told()}")
        else:
            found.append(entry)
    return found, wrong


def paired_alike(entries: list[Booked], left: dict[str, Billed], late_s: float) -> tuple[list[Booked], list[str]]:
    same: dict[tuple[str, str, Tokens, Decimal], list[Billed]] = defaultdict(list)
    for each in left.values():
        same[each.provider, each.model, each.tokens, each.usd].append(each)
    found, wrong = [], []
    for entry in entries:
        candidates = same[entry.provider, entry.model, entry.tokens, entry.usd]
        billed = next((each for each in candidates if entry.fits(each, late_s=late_s)), None)
        if billed is None:
            wrong.append(f"in the ledger, not billed: {entry.told()}")
        else:
            candidates.remove(billed)
            del left[billed.request_id]
            found.append(entry)
    return found, wrong


def paired_in_time(
    entries: list[Booked], left: dict[str, Billed], late_s: float
) -> Iterator[tuple[Booked, Billed | None]]:
    """Each estimate with what was billed for it, the surest pairs first: a stream that broke off had told its input."""
    open_entries = sorted(entries, key=lambda entry: entry.ended)
    for after_s, told in ((SLACK_S, True), (SLACK_S, False), (late_s, False)):
        for billed in sorted(left.values(), key=lambda each: each.at):
            fitting = (each for each in open_entries if each.fits(billed, late_s=after_s))
            entry = next((each for each in fitting if not told or each.tokens[:4] == billed.tokens[:4]), None)
            if entry is not None:
                open_entries.remove(entry)
                del left[billed.request_id]
                yield entry, billed
    yield from ((entry, None) for entry in open_entries)


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one provider: tokens by kind, and USD."""

    tokens: Tokens
    usd: Decimal

    def told(self) -> str:
        return f"{sum(self.tokens)} | {self.usd}"


def sums_of_ledger(database: Path) -> dict[str, Sums]:
    """Of all rows, adjustments and all."""
    columns = ", ".join(f"SUM({column})" for column in COLUMNS)
    query = (
        f"SELECT provider, SUM(CAST(ROUND(cost_usd * 100000000) AS INTEGER)), {columns} "  # noqa: S608 - our own names
        "FROM costs_ledgerentry GROUP BY provider"
    )
    with closing(sqlite3.connect(database)) as connection:
        return {provider: Sums(tuple(tokens), units * CENT) for provider, units, *tokens in connection.execute(query)}


def sums_of_bill(bill: Iterable[Billed]) -> dict[str, Sums]:
    entries: dict[str, list[Billed]] = defaultdict(list)
    for each in bill:
        entries[each.provider].append(each)
    return {
        provider: Sums(
            tuple(sum(column) for column in zip(*(each.tokens for each in found), strict=True)),
            sum((each.usd for each in found), Decimal(0)),
        )
        for provider, found in entries.items()
    }


def settle(settings: Mapping[str, str], folder: Path, bill: Iterable[Billed]) -> list[str]:
    """What the command says: of the reports, then of the exported file."""
    moments = [datetime.fromtimestamp(each.at, UTC) for each in bill]
    since, until = min(moments).date(), max(moments).date() + timedelta(days=1)
    exported = folder / "bill.csv"
    export = httpx.get(f"{settings['SANDBOX_URL']}/_bill.csv", params={"provider": EXPORTED}, timeout=30)
    exported.write_text(export.raise_for_status().text)
    asked = ("costs", "reconcile", "--since", f"{since}", "--until", f"{until}", "--settle", "--tolerance", "0")
    return [
        manage(*asked, *(f"--provider={name}" for name in REPORTED), environment=settings),
        manage(*asked, "--bill", str(exported), environment=settings),
    ]


def unequal(ledger: Mapping[str, Sums], bill: Mapping[str, Sums]) -> list[str]:
    return [
        f"{provider}: in the ledger {ledger.get(provider)}, billed {bill.get(provider)}"
        for provider in sorted({*ledger, *bill})
        if ledger.get(provider) != bill.get(provider)
    ]
