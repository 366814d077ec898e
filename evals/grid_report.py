"""A grid for people and for programs: one table over all combinations, and a winner only where it is shown."""

from collections.abc import Sequence
from typing import Any

from evals.comparison import Arm
from evals.grid import Grid, GridArm
from evals.metrics import RANKING, mean
from evals.presenting import COLUMNS
from evals.reporting import number, signed
from evals.significance import ALPHA
from evals.summary import interval
from evals.winners import Standing, standing

METRIC = "recall_at_5"
"""what decides, unless another measure is named beforehand"""
ALL = "all combinations"
SIMULATED = (
    "Simulated providers: quality is that of small stand-ins, and as the sandbox makes both vector spaces with one model, what "
    "little differs between embedders here is the approximation of the index."
)


def standings(grid: Grid, metric: str) -> dict[str, Standing]:
    """Of all combinations together, of the chunkers within each embedder, and of the embedders within each chunker."""
    groups: dict[str, list[GridArm]] = {ALL: list(grid.arms)}
    for arm in grid.arms:
        groups.setdefault(f"chunkers with {arm.embedder}", []).append(arm)
    for arm in grid.arms:
        groups.setdefault(f"embedders of {arm.chunker}", []).append(arm)
    return {
        title: standing(metric, [Arm(arm.name, arm.values[metric]) for arm in arms])
        for title, arms in groups.items()
        if len(arms) > 1
    }


def as_markdown(grid: Grid, *, metric: str = METRIC) -> str:
    found = standings(grid, metric)
    parts = [heading(grid), table(grid)]
    parts += [
        f"Who is best in {COLUMNS[metric]}:",
        "\n".join(f"- {sentence(title, each)}" for title, each in found.items()),
    ]
    if found:
        parts += [f"Against {found[ALL].best}, {COLUMNS[metric]}:", differences(found[ALL])]
    return "\n\n".join([*parts, notes(grid)]) + "\n"


def heading(grid: Grid) -> str:
    return (
        f"{grid.dataset}: {grid.questions} questions with gold, corpus {grid.corpus} {grid.corpus_version}, "
        f"retrieval of {grid.module}"
    )


def table(grid: Grid) -> str:
    measures = [COLUMNS[name] for name in RANKING]
    head = ["chunker", "embedder", "chunks", *(f"{name} (95 %)" for name in measures), "characters sent"]
    return markdown_table([head, *(cells(arm) for arm in grid.arms)])


def cells(arm: GridArm) -> list[str]:
    values = [with_interval(name, list(arm.values[name].values())) for name in RANKING]
    return [arm.chunker, arm.embedder, f"{arm.chunks:,}", *values, f"{arm.sent:,.0f}"]


def with_interval(name: str, values: Sequence[float]) -> str:
    found = interval(name, values)
    spread = "unknown" if found is None else f"{found[0]:.2f} to {found[1]:.2f}"
    return f"{number(mean(values).value)} ({spread})"


def sentence(title: str, found: Standing) -> str:
    if found.winner:
        return f"{title}: **{found.winner}** wins, shown against each of the others."
    said = [f"{title}: no winner."]
    if found.alike:
        said.append(f"{' and '.join((found.best, *found.alike))} have the same value for every question.")
    if found.level:
        said.append(
            f"{found.best} has the highest mean, but these questions do not tell it from {', '.join(found.level)}."
        )
    if found.worse:
        said.append(f"Shown to be worse: {', '.join(found.worse)}.")
    return " ".join(said)


def differences(found: Standing) -> str:
    """Each arm against the best one, p adjusted for all pairs."""
    head = ["combination", "difference", "95 % interval", "better / worse / equal", "p (Holm)", "verdict"]
    rows = [
        [
            each.before,
            signed(-each.difference) if each.difference else "0",
            f"{signed(-each.interval[1])} to {signed(-each.interval[0])}"
            if each.interval and each.difference
            else "unknown",
            f"{len(each.losses)} / {len(each.wins)} / {each.ties}",
            number(each.p_adjusted),
            "worse" if each.before in found.worse else "no difference shown",
        ]
        for each in found.comparisons
        if each.after == found.best
    ]
    return markdown_table([head, *rows])


def notes(grid: Grid) -> str:
    said = (
        "Shown means: the paired 95 % interval excludes 0 and p, adjusted for all pairs of the group (Holm), is at most "
        f"{ALPHA}. `characters sent` are those of the sources of a question: more text is dearer."
    )
    return f"{said} {SIMULATED}" if grid.simulated else said


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    ruled = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in ruled)


def as_json(grid: Grid, *, metric: str = METRIC) -> dict[str, Any]:
    return {
        "dataset": grid.dataset,
        "dataset_sha256": grid.dataset_sha256,
        "corpus": grid.corpus,
        "corpus_version": grid.corpus_version,
        "module": grid.module,
        "provider_mode": "simulated" if grid.simulated else "live",
        "questions": grid.questions,
        "cost_usd": None if grid.cost_usd is None else float(grid.cost_usd),
        "metric": metric,
        "arms": [arm_as_json(arm) for arm in grid.arms],
        "standings": {title: standing_as_json(each) for title, each in standings(grid, metric).items()},
    }


def arm_as_json(arm: GridArm) -> dict[str, Any]:
    return {
        "chunker": arm.chunker,
        "embedder": arm.embedder,
        "model": arm.model,
        "chunks": arm.chunks,
        "metrics": {name: mean(values.values()).value for name, values in arm.values.items()},
        "intervals": {name: interval(name, list(values.values())) for name, values in arm.values.items()},
        "characters_sent": arm.sent,
    }


def standing_as_json(found: Standing) -> dict[str, Any]:
    return {
        "best": found.best,
        "winner": found.winner,
        "same_values": list(found.alike),
        "not_told_apart": list(found.level),
        "shown_worse": list(found.worse),
        "pairs": [
            {
                "before": each.before,
                "after": each.after,
                "difference": each.difference,
                "interval": each.interval,
                "p": each.p_value,
                "p_adjusted": each.p_adjusted,
                "verdict": each.verdict,
            }
            for each in found.comparisons
        ],
    }
