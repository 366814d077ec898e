"""The judge: a pinned model with a pinned prompt gives an answer two marks, 1 to 5, without knowing which pipeline made it.

Correctness is against the reference, groundedness against the sources. What goes to the judge names no module and no chunk id:
sources are numbered, and citations with them.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from costs.ledger import Booking, book
from evals.questions import EvalQuestion
from prompts.texts import PromptText
from rag.errors import ProviderError
from rag.fencing import defused, fenced_question
from rag.providers.contracts import ChatModel, ChatRequest, Message
from rag.providers.metered import Meter
from rag.values import Outcome, Source

MAX_TOKENS = 300
TRIES = 2
REFERENCES = 5
NOT_HELD = "The documents do not hold an answer to this question."
CODE_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)
OWN_TAGS = re.compile(r"<(?=[\s/]*(?:answer|reference)\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Marks from 1, the worst, to 5."""

    correctness: int
    groundedness: int
    reason: str

    def marks(self) -> tuple[int, int]:
        return self.correctness, self.groundedness


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdicts on one answer, in order; one that stayed malformed is missing and counted. `cost_usd` None = unpriced."""

    verdicts: tuple[Verdict, ...] = ()
    malformed: int = 0
    error: str = ""
    cost_usd: Decimal | None = Decimal(0)

    def as_json(self) -> dict[str, Any]:
        verdicts = [asdict(verdict) for verdict in self.verdicts]
        return {"verdicts": verdicts, "malformed": self.malformed, "error": self.error}


@dataclass(frozen=True, slots=True)
class Judge:
    """`connect` gives a chat model whose calls a meter counts. Used from several threads at once."""

    model: str
    prompt: PromptText
    temperature: float | None
    connect: Callable[[], tuple[ChatModel, Meter]]

    def judged(self, question: EvalQuestion, outcome: Outcome, *, times: int, booking: Booking) -> Judgement:
        """Judge the same answer so many times. Every call is in the ledger, whatever came of it."""
        chat, meter = self.connect()
        request = self.request(question, outcome)
        verdicts, error = list[Verdict | None](), ""
        try:
            for _ in range(times):
                verdicts.append(verdict_of(chat, request))
        except ProviderError as failure:
            error = failure.code
        finally:
            book(attempts=meter.attempts, booking=booking)
        kept = tuple(verdict for verdict in verdicts if verdict is not None)
        return Judgement(kept, len(verdicts) - len(kept), error, meter.total())

    def request(self, question: EvalQuestion, outcome: Outcome) -> ChatRequest:
        return ChatRequest(
            model=self.model,
            system=self.prompt.system_blocks(),
            messages=(Message("user", case(question, outcome)),),
            max_tokens=MAX_TOKENS,
            temperature=self.temperature,
            prompt=self.prompt.label,
        )


def verdict_of(chat: ChatModel, request: ChatRequest) -> Verdict | None:
    """None when the reply was malformed TRIES times. Raises ProviderError."""
    for _ in range(TRIES):
        verdict = parsed(chat.send(request).text)
        if verdict is not None:
            return verdict
    return None


def parsed(reply: str) -> Verdict | None:
    """One JSON object with two whole marks from 1 to 5 and nothing besides, a code fence around it excepted."""
    fenced = CODE_FENCE.match(reply.strip())
    try:
        told = json.loads(fenced[1] if fenced else reply)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not {"correctness", "groundedness"} <= told.keys():
        return None
    marks, reason = (told["correctness"], told["groundedness"]), told.get("reason", "")
    if not all(type(mark) is int and 1 <= mark <= 5 for mark in marks) or not isinstance(reason, str):
        return None
    return Verdict(*marks, reason)


def reference_of(question: EvalQuestion) -> str | None:
    """What a correct answer says; None where nobody wrote one, so that correctness cannot be judged."""
    if question.references:
        return "\nor: ".join(question.references[:REFERENCES])
    return None if question.answerable else NOT_HELD


def case(question: EvalQuestion, outcome: Outcome) -> str:
    """Everything that the judge sees of the case, each part in its fence."""
    numbers = {source.passage.key: str(place) for place, source in enumerate(outcome.sources, 1)}
    reference, answer = reference_of(question), renumbered(outcome.answer.text, numbers)
    parts = [
        fenced_question(OWN_TAGS.sub("&lt;", question.question)),
        fenced("reference", reference) if reference is not None else "",
        numbered_sources(outcome.sources),
        fenced("answer", answer),
    ]
    return "\n\n".join(part for part in parts if part)


def fenced(tag: str, text: str) -> str:
    return f"<{tag}>\n{OWN_TAGS.sub('&lt;', defused(text))}\n</{tag}>"


def numbered_sources(sources: Sequence[Source]) -> str:
    blocks = [
        f'<source id="{place}">\n{OWN_TAGS.sub("&lt;", defused(source.passage.text))}\n</source>'
        for place, source in enumerate(sources, 1)
    ]
    return "\n".join(["<sources>", *blocks, "</sources>"])


def renumbered(answer: str, numbers: Mapping[str, str]) -> str:
    """The answer with the numbers of the sources in place of their ids, the longest id first."""
    for key in sorted(numbers, key=len, reverse=True):
        answer = answer.replace(key, numbers[key])
    return answer
