"""A comparison for people: one plain sentence, text for the shell, Markdown for a page."""

from collections.abc import Mapping, Sequence

from evals.comparison import Comparison, Pair, PairedTest, Verdict
from evals.significance import ALPHA

FLIPS_SHOWN = 20
ROUNDING = 1e-12
"""less than this is what floats leave of a sum that is 0"""


def verdict_sentence(comparison: Comparison) -> str:
    """What may be said of the second arm, with the numbers behind it."""
    if comparison.verdict is Verdict.NOTHING_TO_COMPARE:
        return f"Nothing to compare: no question has a value in both runs{_one_sided(comparison)}."
    if not comparison.wins and not comparison.losses:
        return f"No difference shown: the value is the same for {_all_of(len(comparison.pairs))}. {_limits(comparison)}"
    opening = {
        Verdict.BETTER: f"{comparison.after} is better than {comparison.before}",
        Verdict.WORSE: f"{comparison.after} is worse than {comparison.before}",
    }.get(comparison.verdict, "No difference shown")
    said = f"{opening}: {_numbers(comparison)}."
    return said if comparison.verdict is not Verdict.NOT_SHOWN else f"{said} {_limits(comparison)}"


def as_text(comparison: Comparison, *, texts: Mapping[str, str]) -> str:
    """For the shell. `texts` are the questions by their ids, as far as they shall be shown."""
    lines = [f"{comparison.metric}: {comparison.before} to {comparison.after}", f"  {verdict_sentence(comparison)}"]
    for title, flips in _flip_lists(comparison, texts):
        lines += [f"  {title}:", *(f"    {flip}" for flip in flips)]
    return "\n".join(lines) + "\n"


def as_markdown(comparisons: Sequence[Comparison], *, texts: Mapping[str, str]) -> str:
    """A table over all comparisons, then each with its sentence and its flip list."""
    header = ["metric", "before", "after", "difference", "95 % interval", "p", "better / worse / equal", "verdict"]
    table = [header, ["---"] * len(header), *(_row(comparison) for comparison in comparisons)]
    parts = ["\n".join(f"| {' | '.join(cells)} |" for cells in table)]
    parts += [_section(comparison, texts) for comparison in comparisons]
    return "\n\n".join(parts) + "\n"


def _row(comparison: Comparison) -> list[str]:
    return [
        _safe(comparison.metric),
        f"{_safe(comparison.before)}: {number(comparison.mean_before)}",
        f"{_safe(comparison.after)}: {number(comparison.mean_after)}",
        signed(comparison.difference),
        interval_told(comparison),
        number(comparison.p_adjusted),
        f"{len(comparison.wins)} / {len(comparison.losses)} / {comparison.ties}",
        comparison.verdict,
    ]


def _section(comparison: Comparison, texts: Mapping[str, str]) -> str:
    title = _safe(f"{comparison.metric}: {comparison.before} to {comparison.after}")
    blocks = [f"### {title}", _safe(verdict_sentence(comparison))]
    for heading, flips in _flip_lists(comparison, texts):
        blocks += [f"{heading}:", "\n".join(f"- {_safe(flip)}" for flip in flips)]
    return "\n\n".join(blocks)


def _flip_lists(comparison: Comparison, texts: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    both = (("Better", comparison.wins), ("Worse", comparison.losses))
    return [(title, _flips(pairs, texts)) for title, pairs in both if pairs]


def _flips(pairs: Sequence[Pair], texts: Mapping[str, str]) -> list[str]:
    lines = [
        f"{pair.question_id} {number(pair.before)} to {number(pair.after)} {texts.get(pair.question_id, '')}".rstrip()
        for pair in pairs[:FLIPS_SHOWN]
    ]
    more = len(pairs) - FLIPS_SHOWN
    return [*lines, f"and {more} more"] if more > 0 else lines


def _numbers(comparison: Comparison) -> str:
    return (
        f"{signed(comparison.difference)} ({number(comparison.mean_before)} to {number(comparison.mean_after)}) over "
        f"{_questions(len(comparison.pairs))}{_one_sided(comparison)}; 95 % interval {interval_told(comparison)}; "
        f"{_p(comparison)}; {len(comparison.wins)} better, {len(comparison.losses)} worse, {comparison.ties} equal"
    )


def _one_sided(comparison: Comparison) -> str:
    return f" ({comparison.one_sided} more with a value in one run only)" if comparison.one_sided else ""


def _limits(comparison: Comparison) -> str:
    """Why a real difference may still be there."""
    said = [_disagreement(comparison), _wins_needed(comparison)]
    if comparison.detectable is not None:
        said.append(
            f"{_questions(len(comparison.pairs))}, spread as these are, show a true difference of "
            f"{number(comparison.detectable)} four times in five; a smaller one is mostly missed."
        )
    return " ".join(sentence for sentence in said if sentence)


def _disagreement(comparison: Comparison) -> str:
    if comparison.interval_excludes_zero:
        return "The interval alone would exclude 0, but the test does not tell the changes from luck."
    if comparison.p_adjusted <= ALPHA:
        return "The test alone would tell the changes from luck, but the interval includes 0."
    return ""


def _wins_needed(comparison: Comparison) -> str:
    """Said where questions count alike: changes of different sizes have no such number."""
    counted = comparison.test is PairedTest.MCNEMAR
    against = f" against {len(comparison.losses)} that turn worse" if comparison.losses and counted else ""
    if comparison.wins_needed is None:
        return f"So few questions cannot show an improvement{against}."
    if not counted and (comparison.wins or comparison.losses):
        return ""
    return f"An improvement shows only when {comparison.wins_needed} questions or more turn better{against}."


def interval_told(comparison: Comparison) -> str:
    """Where nothing changed there is no spread to make an interval from."""
    if comparison.interval is None or comparison.ties == len(comparison.pairs):
        return "unknown"
    return " to ".join(signed(end) for end in comparison.interval)


def _p(comparison: Comparison) -> str:
    raw = f"p = {number(comparison.p_value)} ({comparison.test})"
    if comparison.p_adjusted == comparison.p_value:
        return raw
    return f"{raw}, {number(comparison.p_adjusted)} among all comparisons (Holm)"


def _all_of(count: int) -> str:
    return "the only question" if count == 1 else f"all {count} questions"


def _questions(count: int) -> str:
    return f"{count} question" if count == 1 else f"{count} questions"


def number(value: float | None) -> str:
    """Three decimals, or three significant digits where that would hide a small value."""
    if value is None:
        return "unknown"
    if abs(value) < ROUNDING:
        return "0.000"
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.1 else f"{value:.3g}"


def signed(value: float | None) -> str:
    return f"+{number(value)}" if value is not None and value >= ROUNDING else number(value)


def _safe(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too."""
    return "".join(f"\\{each}" if each in "\\`*_[]<>|#" else each for each in " ".join(text.split()))
