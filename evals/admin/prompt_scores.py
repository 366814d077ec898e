"""The scores of evaluations beside the prompt versions that they measured."""

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.contrib import admin

from evals.models import EvalRun
from evals.planning import DEFAULT_DATASET
from evals.summary import Summary, summarised
from prompts.models import Prompt
from rag.admin.prompt_columns import NOTHING, Column
from rag.admin.prompts import QUESTIONS_NAME, PromptAdmin

SCORES = (
    ("Citations", "citation_recall", "of the gold passages, how many the answers cite"),
    ("Correct", "judge_correctness", "the judge's mark against the reference, 1 to 5"),
    ("Grounded", "judge_groundedness", "the judge's mark against the sources, 1 to 5"),
)

admin.site.unregister(Prompt)


@admin.register(Prompt)
class ScoredPromptAdmin(PromptAdmin):
    """The page of a prompt, with the scores of the newest finished evaluation of each version of the answer prompt."""

    def more_columns(self, prompt: Prompt) -> Sequence[Column]:
        return score_columns(newest_runs()) if prompt.name == QUESTIONS_NAME else ()


def newest_runs() -> Mapping[str, Summary]:
    """By version: the newest finished run of the default module over the shipped questions, without kept answers."""
    runs = EvalRun.objects.filter(
        state=EvalRun.State.DONE, module=settings.DEFAULT_MODULE, answer_cache=False, dataset=DEFAULT_DATASET
    )
    newest = {run.prompt_version: run for run in runs.order_by("pk")}
    return {version: summarised(run) for version, run in newest.items()}


def score_columns(runs: Mapping[str, Summary]) -> tuple[Column, ...]:
    """None until something was evaluated."""
    return tuple(
        Column(title, f"{hint}; newest evaluation", {version: told(each, name) for version, each in runs.items()})
        for title, name, hint in (SCORES if runs else ())
    )


def told(summary: Summary, name: str) -> str:
    """The mean with its 95 % interval: 30 questions say no more."""
    mean, interval = summary.means.get(name), summary.intervals.get(name)
    if mean is None or mean.value is None:
        return NOTHING
    return f"{mean.value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})" if interval else f"{mean.value:.2f}"
