"""The ship gate: what has to hold before a customer gets this, line by line. Pure: what was found is passed in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evals.module_scores import ModuleScore

PRODUCTION, REFERENCE = "m6-production", "m4-transform"
RECALL_MARGIN, JUDGE_MARGIN, LEAST_SAVING = 0.02, 0.3, 0.25
SLACK = 1e-9
"""so that a difference of exactly the margin is within it, whatever the last digit of a float is"""
JUDGED = ("judge_correctness", "judge_groundedness")
NEEDED: Mapping[str, str] = {
    "recall": f"Recall@5 of {PRODUCTION} at most {RECALL_MARGIN:.2f} below the best of {REFERENCE}",
    "judge": f"both judge scores of {PRODUCTION} at most {JUDGE_MARGIN} below those of {REFERENCE}",
    "cost_on_traffic": f"at least {LEAST_SAVING:.0%} cheaper a query than {REFERENCE} on replayed traffic, both caches hit",
    "cost_on_questions": f"at least {LEAST_SAVING:.0%} cheaper a query than {REFERENCE} on the questions, prompt cache hit",
    "failures": "every case of the failure table, broken on purpose, ends as promised",
    "traces": "every query has its trace line and row, and its request can be made again byte for byte",
    "prompt_versions": "every generation in the ledger and in the traces names its prompt version",
    "cost_page": "every dimension of the cost page has rows, and all add up to the ledger",
    "proxy": "an answer at PUBLIC_URL, through a proxy, whose trace is in this database",
}


@dataclass(frozen=True, slots=True)
class GateLine:
    """`name` is one of NEEDED; the other texts are for people. `why` says why it failed, or what limits the verdict."""

    name: str
    passed: bool
    measured: str
    needed: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    passed: bool
    lines: tuple[GateLine, ...]

    @property
    def failing(self) -> tuple[GateLine, ...]:
        return tuple(line for line in self.lines if not line.passed)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check measured, and what was wrong with it. It passes when nothing was."""

    measured: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traffic:
    """Replayed traffic: USD a query without and with caches, and the shares of it that the caches served."""

    requests: int
    plain_usd: float
    cached_usd: float
    answer_hits: float
    prompt_hits: float | None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the gate needs besides the scores. `best_recall` is the best Recall@5 of any finished run of REFERENCE over the same
    questions and documents. `recall_compared` tells the difference with its interval. `prompt_reads` counts the generations of
    PRODUCTION's run that read the prompt from the provider's cache. `traffic` is a text where it could not be replayed: why.
    """

    best_recall: float | None
    recall_compared: str
    prompt_reads: int
    traffic: Traffic | str
    failures: Finding
    traces: Finding
    prompt_versions: Finding
    cost_page: Finding
    proxy: Finding


def judge(modules: Sequence[ModuleScore], evidence: Evidence) -> Gate:
    scores = {score.module: score for score in modules}
    lines = (
        between(scores, "recall", lambda production, reference: recall(production, reference, evidence)),
        between(scores, "judge", marks),
        line("cost_on_traffic", on_traffic(evidence.traffic)),
        between(scores, "cost_on_questions", lambda *pair: on_questions(*pair, prompt_reads=evidence.prompt_reads)),
        line("failures", evidence.failures),
        line("traces", evidence.traces),
        line("prompt_versions", evidence.prompt_versions),
        line("cost_page", evidence.cost_page),
        line("proxy", evidence.proxy),
    )
    return Gate(all(each.passed for each in lines), lines)


def line(name: str, finding: Finding, remark: str = "") -> GateLine:
    why = "; ".join(finding.faults) or remark
    return GateLine(name, not finding.faults, finding.measured, NEEDED[name], why)


def between(
    scores: Mapping[str, ModuleScore], name: str, measure: Callable[[ModuleScore, ModuleScore], tuple[Finding, str]]
) -> GateLine:
    """A line about PRODUCTION and REFERENCE, which fails when one of them has no run or questions that failed."""
    absent = [module for module in (PRODUCTION, REFERENCE) if module not in scores]
    if absent:
        return line(name, Finding("nothing", (f"{' and '.join(absent)} has no run",)))
    production, reference = scores[PRODUCTION], scores[REFERENCE]
    finding, remark = measure(production, reference)
    failed = tuple(
        f"{each.failed} questions of {each.module} failed" for each in (production, reference) if each.failed
    )
    return line(name, Finding(finding.measured, (*finding.faults, *failed)), remark)


def recall(production: ModuleScore, reference: ModuleScore, evidence: Evidence) -> tuple[Finding, str]:
    measured, own = production.value("recall_at_5"), reference.value("recall_at_5")
    best = max((value for value in (own, evidence.best_recall) if value is not None), default=None)
    if measured is None or best is None:
        return Finding("nothing", ("no question has gold",)), ""
    return lower_by(measured, best, RECALL_MARGIN, "Recall@5"), evidence.recall_compared


def marks(production: ModuleScore, reference: ModuleScore) -> tuple[Finding, str]:
    told, faults = list[str](), list[str]()
    for name in JUDGED:
        measured, before = production.value(name), reference.value(name)
        if measured is None or before is None:
            faults.append(f"no {name.removeprefix('judge_')} was judged")
            continue
        found = lower_by(measured, before, JUDGE_MARGIN, name.removeprefix("judge_"))
        told.append(found.measured)
        faults += found.faults
    return Finding(", ".join(told) or "nothing", tuple(faults)), ""


def lower_by(measured: float, before: float, margin: float, name: str) -> Finding:
    """Only a loss counts: better is within every margin."""
    told = f"{name} {measured:.3f} against {before:.3f}"
    lost = before - measured
    return Finding(told, (f"{name} is lower by {lost:.3f}",) if lost > margin + SLACK else ())


def on_traffic(traffic: Traffic | str) -> Finding:
    if isinstance(traffic, str):
        return Finding("not replayed", (traffic,))
    finding = saving(traffic.cached_usd, traffic.plain_usd)
    hits = f"answer hits {traffic.answer_hits:.0%}, prompt hits {traffic.prompt_hits or 0:.0%}"
    idle = [
        f"the {name} cache was never hit"
        for name, hit in (("answer", traffic.answer_hits), ("prompt", traffic.prompt_hits))
        if not hit
    ]
    told = f"{finding.measured}; {traffic.requests:,} requests, {hits}"
    return Finding(told, (*finding.faults, *idle, *traffic.faults))


def on_questions(production: ModuleScore, reference: ModuleScore, *, prompt_reads: int) -> tuple[Finding, str]:
    cost, before = production.cost_per_query_usd, reference.cost_per_query_usd
    if cost is None or before is None:
        return Finding("nothing", ("a model has no price, or nothing was answered",)), ""
    finding = saving(cost, before)
    idle = () if prompt_reads else ("the prompt cache was never hit",)
    told = (
        f"{finding.measured}; {production.questions} questions once each, {prompt_reads} read the prompt from the cache"
    )
    return Finding(told, (*finding.faults, *idle)), ""


def saving(cost: float, before: float) -> Finding:
    if not before:
        return Finding("nothing", (f"{REFERENCE} cost nothing",))
    saved = 1 - cost / before
    told = f"{saved:.1%} less: {cost:.6f} against {before:.6f} USD a query"
    return Finding(told, () if saved + SLACK >= LEAST_SAVING else (f"that is less than {LEAST_SAVING:.0%}",))
