"""One question of a run: asked as any client would ask it, judged, and held against its gold."""

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from costs.ledger import Attempt, Booking
from costs.models import LedgerEntry
from evals.errors import CorpusMoved
from evals.judge import Judge, Judgement, reference_of
from evals.matching import Span
from evals.metrics import question_scores
from evals.models import EvalResult, EvalRun
from evals.questions import EvalQuestion
from rag.ask import Answered, ask
from rag.errors import ProviderError, RagError
from rag.parts import Passages
from rag.providers.retry import RetryPolicy, delay, worth_trying_again
from rag.trace import Trace, new_trace_id, number
from rag.values import Caller, Question, storable

KIND = "eval"
JUDGE_KIND = "judge"
PATIENCE = RetryPolicy(attempts=4, base_s=2.0, cap_s=30.0, patience_s=60.0)
NO_MEASURE = frozenset({"generation_timeout", "stale_answer"})
"""degradations after which the answer says nothing about the pipeline: the question counts as failed"""


@dataclass(frozen=True, slots=True)
class Examiner:
    """Everything that the questions of a run share. `sample` holds the ids of those whose answers are judged repeatedly."""

    run: EvalRun
    passages: Passages
    judge: Judge | None
    sample: frozenset[str]

    def examined(self, question: EvalQuestion) -> EvalResult:
        """The question's result, unsaved; what went wrong with the question is in it. Raises CorpusMoved."""
        result = EvalResult(
            run=self.run,
            question_id=question.id,
            question=storable(question.question),
            kind=question.kind or "",
            answerable=question.answerable,
        )
        tries: list[str] = []
        try:
            answered = asked(self.run, question, tries)
        except RagError as error:
            result.error, result.message = error.code, str(error)
            result.trace_id, result.spent_usd = tries[-1], spent_on(tries)
            return result
        self._refuse_if_moved(answered.trace)
        judgement = self._judgement(question, answered)
        self._fill(result, question, answered, judgement)
        result.spent_usd = sum_of(answered.trace.cost_usd, result.judge_usd, spent_on(tries[:-1]))
        return result

    def _refuse_if_moved(self, trace: Trace) -> None:
        if trace.corpus_version != self.run.corpus_version:
            raise CorpusMoved(
                f"the corpus {self.run.corpus} became {trace.corpus_version} while {self.run} was asked: start a new run"
            )

    def _judgement(self, question: EvalQuestion, answered: Answered) -> Judgement | None:
        if self.judge is None or NO_MEASURE & {*answered.trace.degraded}:
            return None
        times = self.run.judge_repeat if question.id in self.sample else 1
        booking = Booking(
            trace_id=f"judge-{answered.trace.trace_id}",
            kind=JUDGE_KIND,
            module=self.run.module,
            corpus=self.run.corpus,
            prompt_version=self.run.prompt_version,
        )
        return self.judge.judged(question, answered.outcome, times=times, booking=booking)

    def _fill(
        self, result: EvalResult, question: EvalQuestion, answered: Answered, judgement: Judgement | None
    ) -> None:
        trace, outcome = answered.trace, answered.outcome
        result.trace_id, result.answered = trace.trace_id, outcome.answer.answered
        result.cost_usd, result.costs = trace.cost_usd, costs_by_component(trace.attempts)
        result.latency_ms, result.degraded = trace.latencies_ms["total"], list(trace.degraded)
        result.answer_cache = trace.answer_cache
        unusable = sorted(NO_MEASURE & {*trace.degraded})
        if unusable:
            result.error, result.message = unusable[0], "the answer was degraded beyond what can be measured"
            return
        scores = question_scores(
            question=question,
            ranked=self._spans(final_order(trace)),
            cited=self._spans(outcome.answer.citations),
            answered=outcome.answer.answered,
        )
        if judgement is not None:
            result.judge, result.judge_usd = judgement.as_json(), judgement.cost_usd
            scores |= marks(question, judgement)
        result.scores = scores

    def _spans(self, keys: Sequence[str]) -> list[Span]:
        live = self.passages.load(keys)
        found = (live[key] for key in keys if key in live)
        return [(passage.source, passage.start, passage.end) for passage in found]


def asked(run: EvalRun, question: EvalQuestion, tries: list[str]) -> Answered:
    """Ask, and ask again where a provider is busy; the trace id of each try is added to `tries`. Raises RagError."""
    wanted = Question(
        text=question.question,
        corpus=run.corpus,
        module=run.module,
        prompt_version=run.prompt_version,
        anew=not run.answer_cache,
    )
    caller = Caller(user_id=run.asked_by_id)
    for attempt in range(PATIENCE.attempts - 1):
        tries.append(new_trace_id())
        try:
            return ask(question=wanted, caller=caller, trace_id=tries[-1], kind=KIND)
        except ProviderError as error:
            if not worth_trying_again(error, PATIENCE):
                raise
            time.sleep(
                delay(policy=PATIENCE, attempt=attempt, retry_after_s=error.retry_after_s, chance=random.random())  # noqa: S311
            )
    tries.append(new_trace_id())
    return ask(question=wanted, caller=caller, trace_id=tries[-1], kind=KIND)


def final_order(trace: Trace) -> list[str]:
    """What was retrieved, best first: what the reranker kept, in its order, then the rest of the fused candidates.

    An answer out of the cache has no candidates: its sources stand for them.
    """
    hits = (*trace.reranked, *trace.fused)
    return list(dict.fromkeys(hit.key for hit in hits)) or [source.passage.key for source in trace.sources]


def marks(question: EvalQuestion, judgement: Judgement) -> dict[str, float | None]:
    """The first verdict's. Without a reference there is no correctness."""
    first = judgement.verdicts[0] if judgement.verdicts else None
    has_reference = reference_of(question) is not None
    return {
        "judge_correctness": float(first.correctness) if first and has_reference else None,
        "judge_groundedness": float(first.groundedness) if first else None,
    }


def costs_by_component(attempts: Iterable[Attempt]) -> dict[str, float | None]:
    """USD by operation (`transform`, `embed`, `rerank`, `generate`); None where one of its calls has no known price."""
    grouped: dict[str, list[Decimal | None]] = {}
    for attempt in attempts:
        grouped.setdefault(attempt.operation, []).append(attempt.cost_usd)
    return {name: None if None in costs else number(sum_of(*costs)) for name, costs in grouped.items()}


def spent_on(trace_ids: Sequence[str]) -> Decimal:
    """What the traces cost, by the ledger."""
    if not trace_ids:
        return Decimal(0)
    return sum_of(*LedgerEntry.objects.filter(trace_id__in=trace_ids).values_list("cost_usd", flat=True))


def sum_of(*amounts: Decimal | None) -> Decimal:
    """Of those that are known."""
    return sum((amount for amount in amounts if amount is not None), Decimal(0))
