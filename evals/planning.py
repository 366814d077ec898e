"""From what was asked for to runs: everything is looked up and refused here, before the first question costs anything."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction

from evals import beir_corpus
from evals.dataset import Dataset, load_dataset
from evals.errors import EvaluationRefused
from evals.estimates import expected_cost
from evals.lines import DatasetError
from evals.models import EvalRun
from evals.questions import EvalQuestion
from prompts.texts import PromptText
from prompts.versions import active_texts, serving
from rag import wiring
from rag.building import Progress, VerificationFailed
from rag.errors import RagError
from rag.ingest import cut_also, silent
from rag.modules import MODULES, find_module, module_for
from rag.values import Question

DEFAULT_DATASET = "django-topics"


@dataclass(frozen=True, slots=True)
class Plan:
    """What somebody wants to know. `corpus` None: the data set's own. `prompt_versions` are of the answer prompt; empty: the
    active one. `limit`: the first so many questions. `answer_cache`: each arm of a module that keeps answers a second time,
    with kept answers allowed.
    """

    dataset: str = DEFAULT_DATASET
    corpus: str | None = None
    modules: tuple[str, ...] = tuple(MODULES)
    prompt_versions: tuple[str, ...] = ()
    limit: int | None = None
    budget_usd: Decimal | None = None
    answer_cache: bool = False
    judge: bool = True
    judge_repeat: int = 1
    asked_by_id: int | None = None


def planned(plan: Plan, *, progress: Progress = silent) -> tuple[EvalRun, ...]:
    """The runs, queued, in the order in which they are to be asked. A folder is ingested first, if it has to be.

    Raises EvaluationRefused.
    """
    runs = drafted(plan, progress=progress)
    with transaction.atomic():
        for run in runs:
            run.save()
    return runs


def drafted(plan: Plan, *, progress: Progress = silent) -> tuple[EvalRun, ...]:
    """The same, not kept yet: what would be asked, to be looked at or priced. Raises EvaluationRefused."""
    refuse_unsound(plan)
    try:
        dataset = load_dataset(plan.dataset)
        corpus = corpus_for(plan, dataset, progress)
        described = [description(plan, corpus, *arm) for arm in arms_of(plan)]
    except (DatasetError, RagError, VerificationFailed) as error:
        raise EvaluationRefused(str(error)) from error
    shared = shared_fields(plan, dataset, corpus)
    runs = tuple(EvalRun(**shared | fields) for fields in described)
    refuse_budget_without_prices(runs)
    return runs


def refuse_unsound(plan: Plan) -> None:
    if plan.budget_usd is not None and plan.budget_usd <= 0:
        raise EvaluationRefused("a budget must be more than 0")
    if plan.limit is not None and plan.limit < 1:
        raise EvaluationRefused("at least one question must be asked")
    if plan.judge and settings.JUDGE_MODEL == settings.ANSWER_MODEL:
        raise EvaluationRefused(f"{settings.JUDGE_MODEL} would grade its own answers: set another JUDGE_MODEL")
    if plan.judge_repeat < 1:
        raise EvaluationRefused("an answer is judged at least once; to judge none say --no-judge")


def refuse_budget_without_prices(runs: Sequence[EvalRun]) -> None:
    for run in runs:
        if run.budget_usd is not None and expected_cost(run) is None:
            raise EvaluationRefused(f"no budget can be kept: {run.module} asks a model whose price is unknown")


def corpus_for(plan: Plan, dataset: Dataset, progress: Progress) -> str:
    if dataset.folder is None:
        return cut_for(plan.corpus or settings.DEFAULT_CORPUS, plan.modules, progress)
    if plan.corpus is not None:
        raise EvaluationRefused(f"{dataset.name} brings its own documents: they cannot be judged on {plan.corpus!r}")
    chunkers = sorted({find_module(name).chunker for name in plan.modules})
    return beir_corpus.ingested(folder=dataset.folder, chunkers=chunkers, progress=progress).corpus


def cut_for(corpus: str, modules: Sequence[str], progress: Progress) -> str:
    """The corpus, cut by what the modules read: a module on trial may read what no ingest made yet."""
    chunkers = sorted({module_for(name, corpus).chunker for name in modules})
    cut_also(corpus=corpus, chunkers=chunkers, why="evaluation", progress=progress)
    return corpus


def arms_of(plan: Plan) -> Iterator[tuple[str, str | None, bool]]:
    """(module, version of the answer prompt, whether kept answers are allowed), each once. Raises UnknownModule."""
    modules = dict.fromkeys(find_module(name) for name in plan.modules)
    for module, version in product(modules, dict.fromkeys(plan.prompt_versions) or (None,)):
        yield module.name, version, False
        if plan.answer_cache and module.answer_cache:
            yield module.name, version, True


def description(plan: Plan, corpus: str, module: str, version: str | None, cached: bool) -> dict[str, Any]:
    """What the run of one arm measures, as it stands now. Raises RagError.

    A pass with kept answers measures cost and time; its answers were judged in the pass before.
    """
    refuse_trials(module)
    texts = active_texts()
    judge = texts["judge"] if plan.judge and not cached else None
    wired = parts_of(corpus, module, version or texts["answer"].version)
    return {
        "module": module,
        "prompt_version": wired.prompt.version,
        "prompts": described_prompts(texts | {"answer": wired.prompt}, judge),
        "model_names": model_names(),
        "corpus_version": wired.serving.version,
        "config": wiring.configuration(wired.module, wired.models),
        "provider_mode": wired.provider_mode,
        "judge_model": settings.JUDGE_MODEL if judge else "",
        "judge_prompt_version": judge.version if judge else "",
        "answer_cache": cached,
    }


def refuse_trials(module: str) -> None:
    """The answer prompt is pinned; of another one on trial some questions would get the one version, some the other."""
    if find_module(module).transform == "simple":
        return
    trials = [name for name, each in serving().items() if each.trial and name in wiring.ANSWERED_WITH[1:]]
    if trials:
        raise EvaluationRefused(
            f"the prompt {trials[0]!r} is on trial, so {module} would be measured with two versions of it"
        )


def parts_of(corpus: str, module: str, version: str) -> wiring.Wired:
    """Raises RagError."""
    return wiring.parts_for(Question("What is measured?", corpus, module, prompt_version=version))


def described_prompts(texts: Mapping[str, PromptText], judge: PromptText | None) -> dict[str, dict[str, str]]:
    parts = [texts[name] for name in wiring.ANSWERED_WITH] + ([judge] if judge else [])
    return {text.name: {"version": text.version, "hash": text.content_hash} for text in parts}


def model_names() -> dict[str, str]:
    return {
        "answer": settings.ANSWER_MODEL,
        "transform": settings.TRANSFORM_MODEL,
        "embedding": settings.EMBEDDING_MODEL,
        "rerank": settings.RERANK_MODEL,
    }


def shared_fields(plan: Plan, dataset: Dataset, corpus: str) -> dict[str, Any]:
    return {
        "batch": uuid4().hex,
        "dataset": dataset.name,
        "dataset_path": str(dataset.folder.resolve()) if dataset.folder else plan.dataset,
        "dataset_sha256": dataset.sha256,
        "limit": plan.limit,
        "questions": len(first(dataset.questions, plan.limit)),
        "corpus": corpus,
        "commit": commit(),
        "judge_repeat": plan.judge_repeat,
        "budget_usd": plan.budget_usd,
        "asked_by_id": plan.asked_by_id,
    }


def first(questions: Sequence[EvalQuestion], limit: int | None) -> Sequence[EvalQuestion]:
    return questions[:limit]


def questions_for(run: EvalRun) -> tuple[EvalQuestion, ...]:
    """The run's questions, their gold named as its corpus names it. Raises EvaluationRefused when the set has changed."""
    try:
        dataset = load_dataset(run.dataset_path)
    except DatasetError as error:
        raise EvaluationRefused(str(error)) from error
    if dataset.sha256 != run.dataset_sha256:
        raise EvaluationRefused(f"the data set {run.dataset} has changed since {run} began: start a new run")
    return beir_corpus.questions_of(dataset)[: run.limit]


def refuse_if_changed(run: EvalRun) -> wiring.Wired:
    """Today's parts for the run; raises EvaluationRefused when they would measure something else than it began with."""
    try:
        wired = parts_of(run.corpus, run.module, run.prompt_version)
    except RagError as error:
        raise EvaluationRefused(str(error)) from error
    texts = active_texts()
    judge = texts["judge"] if run.judge_model else None
    then_and_now = {
        "the corpus version": (run.corpus_version, wired.serving.version),
        "the configuration": (run.config, wiring.configuration(wired.module, wired.models)),
        "a model": (run.model_names, model_names()),
        "the judge's model": (run.judge_model, settings.JUDGE_MODEL if judge else ""),
        "a prompt": (run.prompts, described_prompts(texts | {"answer": wired.prompt}, judge)),
        "the provider mode": (run.provider_mode, wired.provider_mode),
    }
    changed = [what for what, (then, now) in then_and_now.items() if then != now]
    if changed:
        raise EvaluationRefused(f"{' and '.join(changed)} changed since {run} began: start a new run")
    return wired


def commit() -> str:
    """The revision of the code that measures; empty where nobody can tell."""
    git = shutil.which("git")
    if git is None:
        return ""
    asked = subprocess.run(
        [git, "rev-parse", "HEAD"], cwd=Path(settings.BASE_DIR), capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() if asked.returncode == 0 else ""
