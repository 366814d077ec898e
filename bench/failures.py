"""`python -m bench.failures [--only times,cancelled,breakers,soak] [--tries 50] [--soak MINUTES]`: what failures cost.

Starts a web process and a sandbox of its own beside the Chroma server of a running `make run` (SQLite), on a copy of its
database without history, so that nobody else meets the faults and nobody else's calls are on the bill. Time-outs are shortened.
"""

import argparse
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

from bench import broken_calls, settlement, soak
from bench.serving import api_key, copy_of_the_instance, environment, manage, sandbox, web
from bench.settlement import Billed, Booked, Settlement
from rag.tests.doubles import Relay

SHORT = {
    "GENERATION_TIMEOUT_S": "3",
    "TRANSFORM_TIMEOUT_S": "1",
    "EMBEDDING_TIMEOUT_S": "1",
    "RERANK_TIMEOUT_S": "1",
    "CHROMA_TIMEOUT_S": "0.5",
    "REQUEST_TIMEOUT_S": "10",
}
SOAKED = {
    "TRANSFORM_TIMEOUT_S": "2",
    "EMBEDDING_TIMEOUT_S": "2",
    "RERANK_TIMEOUT_S": "2",
    "REQUEST_TIMEOUT_S": "15",
    "ANSWER_CACHE_TTL_S": "5",
}
"""The sandbox shares two cores with eight clients: what takes longer than this was broken on purpose."""
SPARE_S = 0.5
MOST_TOLD = 100
TOLD = ("adjustments", "reports", "DRIFT", "not settled")
PARTS = ("times", "cancelled", "breakers", "soak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="times,cancelled,breakers", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--tries", type=int, default=50)
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--patience", type=float, default=1.0, help="the time-outs of the soak, that many times as long"
    )
    parser.add_argument("--folder", type=Path, help="keep the copy, the traces and the logs here")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        settings = environment() | copy_of_the_instance(folder) | SHORT
        settings["SANDBOX_URL"] = stack.enter_context(sandbox(folder))
        key = api_key(settings)
        wanted = options.only.split(",")
        if options.soak:
            soak_for(options.soak, patient(settings | SOAKED, options.patience), key, folder, options.seed)
            return
        if "times" in wanted:
            broken_calls.times(settings, key, folder, tries=options.tries)
        if "cancelled" in wanted:
            broken_calls.cancelled(settings, key, folder)
        if "breakers" in wanted:
            broken_calls.breakers(settings, key, folder)


def patient(settings: dict[str, str], factor: float) -> dict[str, str]:
    """For a machine that others use meanwhile: what is slow was not broken on purpose."""
    longer = {name: f"{float(settings[name]) * factor:g}" for name in settings if name.endswith("_TIMEOUT_S")}
    return settings | longer


def soak_for(minutes: float, settings: dict[str, str], key: str, folder: Path, seed: int) -> None:
    """Exit status 1 when a request or a cent is not accounted for."""
    relay = Relay(settings["CHROMA_URL"])
    relay.open()
    settings = settings | {"CHROMA_URL": relay.url}
    with web(settings, log=folder / "web.log") as (url, _):
        run = soak.Soak(url, key, settings["SANDBOX_URL"])
        soak.warmed(run)
        soak.soaked(run, relay, minutes=minutes, seed=seed)
    relay.close()
    soak.steady_bill(settings["SANDBOX_URL"])
    bill = settlement.bill(settings["SANDBOX_URL"])
    late_s = 2 * float(settings["GENERATION_TIMEOUT_S"])
    settled = settlement.settled(settlement.ledger(folder / "ragsite.sqlite3"), bill, late_s=late_s)
    wrong = [*run.crashed, *unkept(run, folder, settings), *settled.wrong]
    print(requests_told(run, minutes))
    print(verified(run, folder, settings))
    print(money_told(settled, bill))
    wrong += settled_with_the_bill(settings, folder, bill)
    print(f"\nnot accounted for: {len(wrong)}")
    print("\n".join(f"- {each}" for each in wrong[:MOST_TOLD]))
    sys.exit(bool(wrong))


def settled_with_the_bill(settings: dict[str, str], folder: Path, bill: Sequence[Billed]) -> list[str]:
    """Settle twice, tell the sums of each provider before and after, and give what is not equal then."""
    database, billed = folder / "ragsite.sqlite3", settlement.sums_of_bill(bill)
    before = settlement.sums_of_ledger(database)
    said = settlement.settle(settings, folder, bill)
    after = settlement.sums_of_ledger(database)
    again = "".join(settlement.settle(settings, folder, bill))
    print("\nSettled with the bills:\n")
    print("\n".join(line for text in said for line in text.splitlines() if any(word in line for word in TOLD)))
    print("\n| provider | before: tokens | USD | settled: tokens | USD | billed: tokens | USD |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for provider in sorted(billed):
        told = (sums[provider].told() for sums in (before, after, billed))
        print(f"| {provider} | {' | '.join(told)} |")
    rewritten = [line for line in again.splitlines() if "adjustments written" in line and ", 0 adjustments" not in line]
    return [*settlement.unequal(after, billed), *(f"written by the second run: {line}" for line in rewritten)]


def unkept(run: soak.Soak, folder: Path, settings: dict[str, str]) -> list[str]:
    """Requests that did not end as the failure table says, or left no trace."""
    lines = soak.trace_lines(folder / "traces")
    limit_s = float(settings["REQUEST_TIMEOUT_S"]) + SPARE_S
    found = []
    for asked in run.asked:
        if asked.trace_id is None:
            if asked.status is not None:
                found.append(f"no trace id: {asked.told()}")
            continue
        if asked.trace_id not in lines:
            found.append(f"no line: {asked.told()}")
        elif asked.status is not None:
            found += [
                f"{what}; {asked.told()}"
                for what in soak.differences(asked, lines[asked.trace_id], run.closed, limit_s)
            ]
    return found


def requests_told(run: soak.Soak, minutes: float) -> str:
    seconds = sorted(asked.ended - asked.began for asked in run.asked)
    rows = "\n".join(f"| {how} | {count} |" for how, count in soak.ended_as(run.asked).most_common())
    hurt = sum(bool(asked.faults) for asked in run.asked)
    orders = Counter(each.endpoint for asked in run.asked for each in asked.faults)
    return (
        f"{minutes:g} minutes, {soak.CLIENTS} clients: {len(run.asked)} requests, {hurt} of them under "
        f"{sum(orders.values())} faults ({', '.join(f'{name} {count}' for name, count in sorted(orders.items()))}); "
        f"{sum(asked.streamed for asked in run.asked)} streamed; Chroma was away {len(run.closed)} times.\n"
        f"Seconds to the end: p50 {statistics.median(seconds):.2f}, p99 {quantile(seconds, 0.99):.2f}, "
        f"max {seconds[-1]:.2f}.\n\n"
        f"| how it ended | requests |\n| --- | --- |\n{rows}"
    )


def verified(run: soak.Soak, folder: Path, settings: dict[str, str]) -> str:
    lines = soak.trace_lines(folder / "traces")
    known = sum(asked.trace_id is not None for asked in run.asked)
    verdict = manage("traces", "verify", environment=settings).strip()
    return f"\n{len(lines)} trace lines for {len(run.asked)} requests, {known} of which told their trace id; verify: {verdict}"


def money_told(settled: Settlement, bill: Iterable[Billed]) -> str:
    exact = [*settled.by_id, *settled.alike]
    rows = [
        money_row("exact, by request id", settled.by_id, settled.by_id),
        money_row("exact, alike", settled.alike, settled.alike),
        money_row("failed without cost", settled.free, ()),
    ]
    for outcome in sorted({(entry.provider, entry.outcome) for entry, _ in settled.estimates}):
        group = [(entry, billed) for entry, billed in settled.estimates if (entry.provider, entry.outcome) == outcome]
        rows.append(money_row(f"estimated: {' '.join(outcome)}", [e for e, _ in group], [b for _, b in group if b]))
    total = sum((each.usd for each in bill), Decimal(0))
    booked = sum((entry.usd for entry in [*exact, *(entry for entry, _ in settled.estimates)]), Decimal(0))
    head = "| entries | in the ledger | tokens | USD | billed | tokens | USD |\n| --- | --- | --- | --- | --- | --- | --- |"
    return f"\n{head}\n" + "\n".join(rows) + f"\n\nledger {booked} USD, bill {total} USD"


def money_row(name: str, ledger: Sequence[Booked], bill: Sequence[Booked | Billed]) -> str:
    return f"| {name} | {sums(ledger)} | {sums(bill)} |"


def sums(entries: Sequence[Booked | Billed]) -> str:
    tokens = sum(sum(entry.tokens) for entry in entries)
    return f"{len(entries)} | {tokens} | {sum((entry.usd for entry in entries), Decimal(0))}"


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of values in rising order: the smallest that is not below that share of them."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()
