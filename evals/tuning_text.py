"""A tuning in plain words, and as JSON."""

from collections.abc import Iterator
from typing import Any

from evals.tuning import Tuning
from evals.tuning_file import described, knobs, proof
from evals.tuning_verdict import Decision
from rag.modules import Module
from rag.tuned import GENERAL_KNOBS


def as_text(tuning: Tuning) -> str:
    return "\n".join([*sets(tuning), "", *(line for each in tuning.decisions for line in told(each)), *ending(tuning)])


def sets(tuning: Tuning) -> Iterator[str]:
    for each in tuning.collections:
        searched, confirmed = (len(half) for half in each.halves.values())
        yield f"{each.name} on {each.corpus} {each.corpus_version}: {searched} questions searched, {confirmed} to confirm"


def told(decision: Decision) -> Iterator[str]:
    found, whom = decision.verdict.comparison, decision.corpus or "every corpus"
    yield f"{decision.what}, {whom}: {decision.tried} configurations tried"
    if decision.after == decision.before:
        yield "  the search found nothing better\n"
        return
    yield f"  {changes(decision.before, decision.after)}"
    yield f"  searching half: {found.metric} {decision.searched[0]:.4f} -> {decision.searched[1]:.4f}"
    low, high = found.interval or (float("nan"), float("nan"))
    yield (
        f"  confirming half: {found.mean_before:.4f} -> {found.mean_after:.4f}, {found.difference:+.4f}, "
        f"95 % interval {low:+.4f} to {high:+.4f}, p = {found.p_adjusted:.4f}, {len(found.wins)} better, "
        f"{len(found.losses)} worse"
    )
    for name, means in decision.verdict.by_dataset.items():
        yield f"    {name}: {means.before:.4f} -> {means.after:.4f}{', shown to be worse' if means.worse else ''}"
    if decision.characters:
        yield f"  characters sent a question: {decision.characters[0]:.0f} -> {decision.characters[1]:.0f}"
    yield "  chosen\n" if decision.wins else "  not shown to be better: stays as it is\n"


def changes(before: Module, after: Module) -> str:
    old, new = knobs(before, GENERAL_KNOBS), knobs(after, GENERAL_KNOBS)
    return ", ".join(f"{name} {old[name]} -> {new[name]}" for name in GENERAL_KNOBS if old[name] != new[name])


def ending(tuning: Tuning) -> Iterator[str]:
    cost = "unknown" if tuning.spent_usd is None else f"${tuning.spent_usd:.4f}"
    modes = {each.provider_mode for each in tuning.collections}
    yield f"providers: {cost}{' (simulated)' if modes != {'live'} else ''}"
    if tuning.written:
        yield "the file was written; restart the service, and keep the file with the code"
    elif any(decision.wins for decision in tuning.decisions):
        yield "a dry run: the file was not touched"
    else:
        yield "nothing won on the confirming half: the file was not touched"


def as_json(tuning: Tuning) -> dict[str, Any]:
    return {
        "written": tuning.written,
        "spent_usd": None if tuning.spent_usd is None else float(tuning.spent_usd),
        "datasets": [described(each) for each in tuning.collections],
        "decisions": [
            {
                "corpus": each.corpus or None,
                "wins": each.wins,
                "chosen": knobs(each.after, GENERAL_KNOBS),
                **proof(each, GENERAL_KNOBS),
            }
            for each in tuning.decisions
        ],
    }
