"""Making a scoreboard: runs that still measure what serves are used again, the others are asked, then everything is checked."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from django.conf import settings

from evals import scoreboard, scoreboard_text
from evals.errors import EvaluationRefused
from evals.models import EvalRun
from evals.module_scores import score_of
from evals.planning import DEFAULT_DATASET, Plan, commit, planned, refuse_if_changed
from evals.reusing import usable_run
from evals.scoreboard import CorpusFacts, DatasetFacts, Scoreboard
from evals.ship_evidence import Tell, gathered
from evals.ship_gate import judge
from evals.summary import summarised
from prompts.versions import active_texts
from rag import clock
from rag.models import Chunk, ChunkSet, Document
from rag.modules import MODULES


def report_folder() -> Path:
    return Path(settings.DATA_DIR) / "reports"


def planned_runs(*, budget_usd: Decimal | None, anew: bool = False) -> tuple[EvalRun, ...]:
    """One run for each module, in their order: one that can be used again, or a new one, queued. Raises EvaluationRefused."""
    plan = Plan(dataset=DEFAULT_DATASET, budget_usd=budget_usd)
    found = {} if anew else {name: run for name in MODULES if (run := usable_run(name)) is not None}
    missing = tuple(name for name in MODULES if name not in found)
    fresh = planned(replace(plan, modules=missing)) if missing else ()
    for run in found.values():
        if run.state != EvalRun.State.DONE:
            EvalRun.objects.filter(pk=run.pk).update(budget_usd=budget_usd, stop_asked=False)
            run.refresh_from_db()
    found |= {run.module: run for run in fresh}
    return tuple(found[name] for name in MODULES)


def runs_of(board: Scoreboard) -> tuple[EvalRun, ...]:
    """The board's runs, when they still measure what serves. Raises EvaluationRefused."""
    by_id = EvalRun.objects.in_bulk([score.eval_run_id for score in board.modules])
    runs = tuple(by_id[score.eval_run_id] for score in board.modules if score.eval_run_id in by_id)
    if {run.module for run in runs} != set(MODULES):
        raise EvaluationRefused("the newest scoreboard has other modules than there are today")
    serves = active_texts()["answer"].version
    for run in runs:
        if run.prompt_version != serves:  # a run names its version, so what serves does not matter to it
            raise EvaluationRefused(
                f"the newest scoreboard is of the answer prompt {run.prompt_version}, {serves} serves"
            )
        refuse_if_changed(run)
    return runs


def made(runs: Sequence[EvalRun], *, tell: Tell) -> Scoreboard:
    """The board of these finished runs, with every check made now; it is kept, and written below DATA_DIR.

    Raises EvaluationRefused when a run is not finished.
    """
    for run in runs:
        if run.state != EvalRun.State.DONE:
            raise EvaluationRefused(f"{run} is {run.state}: {run.error or 'not all of its questions were asked'}")
    scores = tuple(score_of(summarised(run)) for run in runs)
    gate = judge(scores, gathered(runs, tell=tell))
    first = runs[0]
    board = Scoreboard(
        made_at=clock.now(),
        commit=commit(),
        provider_mode=first.provider_mode,
        dataset=DatasetFacts(first.dataset, first.dataset_sha256, first.questions),
        corpus=corpus_facts(first),
        modules=scores,
        gate=gate,
    )
    scoreboard.keep(board)
    scoreboard_text.written(board, report_folder())
    return board


def corpus_facts(run: EvalRun) -> CorpusFacts:
    of_version = {"version__corpus__slug": run.corpus, "version__number": int(run.corpus_version.removeprefix("v"))}
    sets = ChunkSet.objects.filter(**of_version).order_by("chunker")
    documents = Document.objects.filter(**of_version).count()
    chunks = {each.chunker: Chunk.objects.filter(chunk_set=each).count() for each in sets}
    return CorpusFacts(run.corpus, run.corpus_version, documents, chunks)
