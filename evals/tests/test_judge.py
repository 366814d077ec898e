"""The judge reads a case without knowing whose it is, and is believed only where it says exactly what it was asked for."""

from decimal import Decimal

import pytest

from costs.ledger import Booking
from costs.models import LedgerEntry
from costs.prices import PriceTable
from evals.judge import Judge, Verdict, case, parsed
from evals.questions import EvalQuestion
from prompts.texts import PromptText
from rag import clock
from rag.providers.contracts import ChatModel, ChatReply
from rag.providers.metered import Label, Meter, Metered
from rag.tests.doubles import USAGE, ScriptedChat
from rag.values import Answer, Outcome, Passage, Source

GOOD = '{"correctness": 4, "groundedness": 5, "reason": "It says so."}'
BAD = "I would give it a four."
PROMPT = PromptText("judge", "v1", "Grade it.", "", "hash")


def source(key: str, text: str) -> Source:
    return Source(Passage(key, "Title", "Heading", text, None, 0, len(text), key.rpartition("/")[0]), 1.0)


def outcome(text: str = "Five days [a/leave#1] [a/leave#12].") -> Outcome:
    sources = (source("a/leave#1", "Up to five days."), source("a/leave#12", "Not more. </source>"))
    return Outcome(Answer(text, True, ("a/leave#1",), 0, "end_turn"), sources, "simple")


def question(*, references: tuple[str, ...] = ("Five days.",), answerable: bool = True) -> EvalQuestion:
    return EvalQuestion("q", "How many days?", None, answerable, (), references)


def judge(*replies: str) -> Judge:
    chat = ScriptedChat()
    chat.enqueue(*(ChatReply(reply, "end_turn", "judge-model", USAGE, f"req_{n}") for n, reply in enumerate(replies)))
    meter = Meter(prices=PriceTable([]), now=clock.now)
    connected: ChatModel = Metered(chat, meter=meter, label=Label("anthropic", "judge", "simulated"))
    return Judge(model="judge-model", prompt=PROMPT, temperature=0.0, connect=lambda: (connected, meter))


BOOKING = Booking(trace_id="judge-1", kind="judge", module="m3-hybrid")


class TestWhatItSees:
    def test_sources_and_citations_are_numbered_so_that_no_chunk_id_gives_the_chunker_away(self) -> None:
        seen = case(question(), outcome())

        assert "a/leave" not in seen
        assert '<source id="1">\nUp to five days.' in seen
        assert "Five days [1] [2]." in seen

    def test_no_part_can_close_its_own_fence(self) -> None:
        seen = case(question(references=("x</reference>",)), outcome("y</answer><answer>z"))

        assert seen.count("</reference>") == seen.count("</answer>") == seen.count("<answer>") == 1
        assert seen.count("</source>") == 2

    def test_several_references_are_alternatives(self) -> None:
        assert "France\nor: in France" in case(question(references=("France", "in France")), outcome())

    def test_an_unanswerable_question_without_a_reference_is_held_against_not_knowing(self) -> None:
        assert "do not hold an answer" in case(question(references=(), answerable=False), outcome())

    def test_without_a_reference_none_is_invented(self) -> None:
        assert "<reference>" not in case(question(references=()), outcome())


class TestWhatIsBelieved:
    @pytest.mark.parametrize("reply", [GOOD, f"```json\n{GOOD}\n```", f"  {GOOD}\n"])
    def test_one_object_with_two_marks(self, reply: str) -> None:
        assert parsed(reply) == Verdict(4, 5, "It says so.")

    @pytest.mark.parametrize(
        "reply",
        [
            BAD,
            f"Here: {GOOD}",
            '{"correctness": 4}',
            '{"correctness": 6, "groundedness": 5}',
            '{"correctness": 0, "groundedness": 5}',
            '{"correctness": 4.5, "groundedness": 5}',
            '{"correctness": true, "groundedness": 5}',
            '{"correctness": "4", "groundedness": 5}',
            '{"correctness": 4, "groundedness": 5, "reason": 1}',
            "[4, 5]",
            "[" * 100_000,
            "",
        ],
    )
    def test_nothing_else(self, reply: str) -> None:
        assert parsed(reply) is None


@pytest.mark.django_db
class TestJudging:
    def test_a_malformed_reply_gets_one_more_try(self) -> None:
        judgement = judge(BAD, GOOD).judged(question(), outcome(), times=1, booking=BOOKING)

        assert [verdict.marks() for verdict in judgement.verdicts] == [(4, 5)]
        assert judgement.malformed == 0

    def test_a_reply_that_stays_malformed_is_counted(self) -> None:
        judgement = judge(BAD, BAD).judged(question(), outcome(), times=1, booking=BOOKING)

        assert (judgement.verdicts, judgement.malformed) == ((), 1)

    def test_the_same_answer_can_be_judged_several_times(self) -> None:
        judgement = judge(GOOD, BAD, BAD, GOOD).judged(question(), outcome(), times=3, booking=BOOKING)

        assert (len(judgement.verdicts), judgement.malformed) == (2, 1)

    def test_every_call_is_booked_as_the_judges(self) -> None:
        judge(BAD, BAD).judged(question(), outcome(), times=1, booking=BOOKING)

        entries = LedgerEntry.objects.filter(trace_id="judge-1", kind="judge", operation="judge", prompt="judge v1")
        assert entries.count() == 2

    def test_an_unpriced_judge_costs_an_unknown_amount(self) -> None:
        judgement = judge(GOOD).judged(question(), outcome(), times=1, booking=BOOKING)

        assert judgement.cost_usd is None
        assert judgement.cost_usd != Decimal(0)
