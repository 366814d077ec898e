"""Runs that still measure what serves now, and so need not be asked again."""

from django.conf import settings

from evals.dataset import load_dataset
from evals.errors import EvaluationRefused
from evals.models import EvalRun
from evals.planning import DEFAULT_DATASET, commit, refuse_if_changed
from evals.running import UNFINISHED
from prompts.versions import active_texts

LOOKED_AT = 3
"""of a module, so many of its newest runs are tried for being used again"""


def usable_run(module: str, *, version: str | None = None) -> EvalRun | None:
    """The newest run over all shipped questions that was begun with today's code, documents, prompts, models and settings,
    done or not. `version`: of the answer prompt; None: the active one.
    """
    alike = EvalRun.objects.filter(
        module=module,
        dataset=DEFAULT_DATASET,
        dataset_sha256=load_dataset(DEFAULT_DATASET).sha256,
        corpus=settings.DEFAULT_CORPUS,
        limit=None,
        answer_cache=False,
        commit=commit(),
        judge_model=settings.JUDGE_MODEL,
        prompt_version=version or active_texts()["answer"].version,
    ).exclude(results__error__gt="")
    ready = alike.filter(state__in=(EvalRun.State.DONE, *UNFINISHED)).order_by("-pk")
    return next((run for run in ready[:LOOKED_AT] if measures_today(run)), None)


def measures_today(run: EvalRun) -> bool:
    try:
        refuse_if_changed(run)
    except EvaluationRefused:
        return False
    return True
