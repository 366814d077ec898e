"""Which of several arms is best, where that can be said: every pair compared, the luck of so many looks allowed for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from evals.comparison import Arm, Comparison, Verdict, compare, read_together
from evals.metrics import mean


@dataclass(frozen=True, slots=True)
class Standing:
    """`best`: the arm of the highest mean, by name. `winner`: the same where it is shown to be better than every other arm,
    else None. `alike`: the arms with the same value for every question; `level`: the others that the questions do not tell
    from the best; `worse`: those that are shown to be worse.
    """

    best: str
    winner: str | None
    alike: tuple[str, ...]
    level: tuple[str, ...]
    worse: tuple[str, ...]
    comparisons: tuple[Comparison, ...]


def standing(metric: str, arms: Sequence[Arm]) -> Standing:
    """Arms with equal means keep their order. Raises ValueError for fewer than two arms, and when they did not ask the same
    questions.
    """
    if len(arms) < 2:
        raise ValueError("there is nothing to compare")
    order = sorted(arms, key=lambda arm: -(mean(arm.values.values()).value or 0.0))
    pairs = pairwise(metric, order)
    best, others = order[0], order[1:]
    against = {each.before: each for each in pairs if each.after == best.name}
    alike = tuple(arm.name for arm in others if is_alike(against[arm.name]))
    worse = tuple(arm.name for arm in others if against[arm.name].verdict is Verdict.BETTER)
    level = tuple(arm.name for arm in others if arm.name not in (*alike, *worse))
    return Standing(best.name, None if alike or level else best.name, alike, level, worse, pairs)


def is_alike(comparison: Comparison) -> bool:
    return not comparison.wins and not comparison.losses


def pairwise(metric: str, arms: Sequence[Arm]) -> tuple[Comparison, ...]:
    """Each pair once, the later arm as `before`, with p-values adjusted for all pairs (Holm): so the best may be chosen after
    looking. Pairs without a changed question could not have been called different and do not count (Tarone 1990).
    """
    pairs = [compare(metric=metric, before=other, after=one) for one, other in combinations(arms, 2)]
    adjusted: Mapping[tuple[str, str], Comparison] = {
        (each.before, each.after): each for each in read_together([pair for pair in pairs if not is_alike(pair)])
    }
    return tuple(adjusted.get((each.before, each.after), each) for each in pairs)
