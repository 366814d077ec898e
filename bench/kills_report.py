"""What `python -m bench.kills` saw, and its report as Markdown."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.asking import Load
from bench.editions import Ingests
from bench.killing import Blow
from bench.losses import Accounts
from bench.outages import Full

MOST_TOLD = 100


@dataclass(slots=True)
class Run:
    """What happened, for the report."""

    phases: Sequence[str]
    minutes: float
    parallel: int
    seed: int
    blows: list[Blow] = field(default_factory=list)
    full: list[Full] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    drained_s: float | None = None


def report(run: Run, load: Load, ingests: Ingests, accounts: Accounts, faults: Sequence[str]) -> str:
    parts = [
        f"# Killed, restarted, full\n\n{headline(run, load, accounts)}",
        table(
            "what was killed or away | times | back: p95 s | max s | an answer again: p95 s | max s",
            blow_rows(run.blows),
        ),
        table("requests that ended with | times", counted(asked.end for asked in load.asked)),
        table("ingests | times", counted(f"{each.how}: {each.end}" for each in ingests.attempts)),
        table("a full disk of | how the requests ended meanwhile", [each.told() for each in run.full]),
        kept(run, accounts),
        verdict(faults),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def headline(run: Run, load: Load, accounts: Accounts) -> str:
    command = f"python -m bench.kills --minutes {run.minutes:g} --parallel {run.parallel} --seed {run.seed}"
    return (
        f"`{command} --only {','.join(run.phases)}`: {len(run.blows)} blows under {run.parallel} clients, who asked "
        f"{len(load.asked)} questions and had {accounts.answered} answers."
    )


def table(head: str, rows: Sequence[str]) -> str:
    """Empty where there is no row."""
    if not rows:
        return ""
    return "\n".join([f"| {head} |", "|" + " --- |" * (head.count("|") + 1), *rows])


def blow_rows(blows: Iterable[Blow]) -> list[str]:
    by_name: dict[str, list[Blow]] = defaultdict(list)
    for blow in blows:
        by_name[blow.name].append(blow)
    return [
        f"| {name} | {len(found)} | {spread([b.back_s for b in found])} | {spread([b.answer_s for b in found])} |"
        for name, found in sorted(by_name.items())
    ]


def spread(waits: Sequence[float | None]) -> str:
    """The 95th percentile and the longest; a wait that did not end is infinite."""
    ordered = sorted(float("inf") if wait is None else wait for wait in waits)
    p95 = ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]
    return f"{p95:.1f} | {ordered[-1]:.1f}"


def counted(values: Iterable[str]) -> list[str]:
    return [f"| {value} | {count} |" for value, count in Counter(values).most_common()]


def kept(run: Run, accounts: Accounts) -> str:
    drained = "never" if run.drained_s is None else f"after {run.drained_s:.0f} s"
    told = (
        f"Queues empty {drained}.",
        f"`traces verify --repair`: {accounts.repaired}; then `traces verify`: {accounts.verified}.",
        f"{accounts.answered} answers held against {accounts.lines} trace lines, these against their rows and "
        f"{accounts.entries} ledger entries, and those against the sandbox's bill of {accounts.billed_usd} USD.",
        f"Billed to requests and ingests that were cut off before they could be written down: {accounts.unbooked} "
        f"calls, {accounts.unbooked_usd} USD. `manage.py costs reconcile` shows such a difference.",
        f"{accounts.versions} versions of the changing corpus held against the documents that were written into them.",
    )
    return "\n".join(f"- {each}" for each in told)


def verdict(faults: Sequence[str]) -> str:
    if not faults:
        return "**0 lost**"
    told = "\n".join(f"- {fault}" for fault in faults[:MOST_TOLD])
    return f"**{len(faults)} faults** (the first {MOST_TOLD} are listed)\n\n{told}"
