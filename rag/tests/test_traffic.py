"""The made-up log, what it must have cost at least, and `manage.py traffic` against the small world and the real sandbox."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from costs.models import LedgerEntry
from costs.prices import Price, cost
from costs.usage import Usage
from rag import clock
from rag.accounts import account_of_bill, account_of_ledger
from rag.cache import normalised
from rag.ingest import IngestReport
from rag.models import TraceSummary
from rag.spending import Request, Spent, beginnings, by_component, cheapest, divided, least, prompt_hit_rate, windows
from rag.tests.small_world import HELD, NOT_HELD, bill
from rag.traffic import HOUR_S, PROFILES, Event, Profile, log_of, moments

QUESTIONS = [f"How is part {number} of the machine cleaned?" for number in range(30)]
ASKED = [HELD, NOT_HELD, "When do full backups run?", "How are train tickets booked?", "Who is paged, and when?"]
MODERATE = PROFILES["moderate"]
SONNET = Price(
    1,
    "anthropic",
    "claude-sonnet-4-6",
    datetime(2026, 1, 1, tzinfo=UTC),
    Decimal(3),
    Decimal("3.75"),
    Decimal(6),
    Decimal("0.30"),
    Decimal(15),
    min_cacheable_tokens=2_048,
)
PREFIX = 2_400


class TestLog:
    @pytest.mark.parametrize("name", PROFILES)
    def test_the_same_seed_makes_the_same_log_and_another_seed_another(self, name: str) -> None:
        first, again, other = (log_of(PROFILES[name], questions=QUESTIONS, seed=seed) for seed in (1, 1, 2))

        assert first == again
        assert (first != other) is (name != "distinct")

    @pytest.mark.parametrize("name", PROFILES)
    def test_it_has_as_many_requests_as_the_profile_says_in_the_order_of_time(self, name: str) -> None:
        log = log_of(PROFILES[name], questions=QUESTIONS, seed=1)

        assert len(log) == PROFILES[name].requests
        assert [event.at_s for event in log] == sorted(event.at_s for event in log)
        assert all(event.at_s < HOUR_S for event in log if event.turn == 1)

    def test_what_is_asked_follows_zipfs_law(self) -> None:
        log = log_of(Profile("many", 40_000, bursts=0, sessions=0), questions=QUESTIONS, seed=1)

        counts = [count for _, count in Counter(event.key for event in log).most_common()]
        harmonic = sum(1 / rank for rank in range(1, len(QUESTIONS) + 1))
        assert len(counts) == len(QUESTIONS)
        for rank in (1, 2, 3, 10):
            assert counts[rank - 1] == pytest.approx(40_000 / harmonic / rank, rel=0.1)

    def test_other_spellings_are_the_same_question_to_the_answer_cache(self) -> None:
        odd = [*QUESTIONS, "What does save() do?", "Wann stößt ß an?", "Is it 5!?", "a[?"]
        log = log_of(Profile("many", 5_000, bursts=0.2, sessions=0), questions=odd, seed=1)

        assert {event.key for event in log} <= set(map(normalised, odd))
        assert len({event.text for event in log}) > 5 * len(QUESTIONS)

    def test_a_burst_asks_the_same_several_times_in_one_second(self) -> None:
        log = log_of(Profile("bursts", 200, bursts=1, sessions=0), questions=QUESTIONS, seed=1)

        together = [events for _, events in moments(log) if len({event.key for event in events}) == 1]
        assert sum(map(len, together)) > 150
        assert {len(events) for events in together} >= set(range(3, 9))

    def test_a_session_has_one_to_four_turns_one_after_the_other(self) -> None:
        log = log_of(Profile("talks", 1_000, bursts=0, sessions=1), questions=QUESTIONS, seed=1)

        talks: dict[int | None, list[Event]] = {}
        for event in log:
            talks.setdefault(event.session, []).append(event)
        assert {len(turns) for turns in talks.values()} == {1, 2, 3, 4}
        for turns in talks.values():
            assert [event.turn for event in turns] == list(range(1, len(turns) + 1))
            assert all(after.at_s - before.at_s >= 20 for before, after in zip(turns, turns[1:], strict=False))
            assert all((event.key is None) is (event.turn > 1) for event in turns)

    def test_distinct_asks_every_question_once_and_nothing_else(self) -> None:
        log = log_of(PROFILES["distinct"], questions=QUESTIONS, seed=1)

        assert [event.text for event in log] == QUESTIONS
        assert {event.session for event in log} == {None}
        assert log[-1].at_s == 58 * 60

    def test_without_questions_there_is_no_log(self) -> None:
        with pytest.raises(ValueError, match="no questions"):
            log_of(MODERATE, questions=[], seed=1)


class TestCheapest:
    def write_1h(self, *times: int) -> Decimal:
        return cheapest(times, SONNET.cache_write_1h_usd, 3_600, SONNET) * 1_000_000

    def test_one_or_two_uses_are_sent(self) -> None:
        assert self.write_1h() == 0
        assert self.write_1h(0) == 3
        assert self.write_1h(0, 60) == 6

    def test_from_the_third_use_it_is_written_once_and_read(self) -> None:
        assert self.write_1h(0, 60, 120) == Decimal("6.60")
        assert self.write_1h(0, 3_600, 7_200, 10_800) == Decimal("6.90"), "a read makes it last longer"

    def test_what_comes_too_late_is_sent_again(self) -> None:
        assert self.write_1h(0, 4_000, 8_000) == 9
        assert self.write_1h(0, 4_000, 4_010, 4_020) == 3 + Decimal("6.60")


class TestLeast:
    """Every generation: 0.003 USD before it, a prompt of 2,400 stable tokens and 1,000 others, 100 tokens out."""

    each = Decimal("0.003") + Decimal("0.003") + Decimal("0.0015")

    def requests(self, *events: Event, answered: bool = True) -> list[Request]:
        first = Usage(0, 0, PREFIX, 0, 0) + Usage(input_tokens=1_000, output_tokens=100)
        other = Usage(cache_read=PREFIX, input_tokens=1_000, output_tokens=100)
        usages = [first, *[other] * (len(events) - 1)]
        pairs = zip(events, usages, strict=True)
        return [Request(event, Spent(rerank=Decimal("0.003"), generation=usage), answered) for event, usage in pairs]

    def bound(self, requests: Sequence[Request], **more: Any) -> Decimal:
        return least(requests, price=SONNET, fresh_s=300, **more)

    def sent(self, generations: int) -> Decimal:
        return PREFIX * cheapest(range(generations), SONNET.cache_write_1h_usd, 3_600, SONNET)

    def test_one_generation_serves_five_minutes(self) -> None:
        log = self.requests(Event(0, "Why?"), Event(200, "why"), Event(299, "Why??"), Event(400, "why ?"))

        assert self.bound(log) == 2 * self.each + self.sent(2)

    def test_other_questions_are_generated_on_their_own(self) -> None:
        log = self.requests(*(Event(number, f"Why {number}?") for number in range(5)))

        assert self.bound(log) == 5 * self.each + self.sent(5)
        assert self.sent(5) == PREFIX * (6 + 4 * Decimal("0.30")) / 1_000_000

    def test_a_refusal_serves_its_moment_only(self) -> None:
        log = self.requests(Event(0, "Why?"), Event(0, "why"), Event(60, "Why?"), answered=False)

        assert self.bound(log) == 2 * self.each + self.sent(2)
        assert self.bound(log, refusals_kept=True) == self.each + self.sent(1)

    def test_the_cheapest_way_to_ask_a_question_counts_for_all(self) -> None:
        dear, cheap = self.requests(Event(0, "Why?"), Event(900, "why"))
        dear = Request(dear.event, Spent(rerank=Decimal(1), generation=dear.spent.generation))

        assert self.bound([dear, cheap]) == 2 * self.each + self.sent(2)

    def test_a_session_is_written_only_for_those_who_come_back_in_time(self) -> None:
        def talk(second_at: int) -> list[Request]:
            first = Usage(cache_write_1h=PREFIX, cache_write_5m=1_000, input_tokens=50)
            second = Usage(cache_read=PREFIX + 1_000, cache_write_5m=500, input_tokens=50)
            events = (Event(0, "Why?", 1), Event(second_at, "And how?", 1, 2))
            blocks = (("sources",), ("sources", "Why? So.", "more"))
            rows = zip(events, (first, second), blocks, strict=True)
            return [Request(event, Spent(generation=usage), blocks=told) for event, usage, told in rows]

        tails = 2 * 50 * 3 + 500 * 3
        in_time = 1_000 * Decimal("3.75") + 1_000 * Decimal("0.30")
        assert self.bound(talk(100)) == (tails + in_time + 2 * PREFIX * 3) / 1_000_000
        assert self.bound(talk(400)) == Decimal(tails + 2 * 1_000 * 3 + 2 * PREFIX * 3) / 1_000_000


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("seed", range(1, 6))
def test_no_service_that_keeps_the_rules_is_cheaper_than_the_bound(name: str, seed: int) -> None:
    log = log_of(PROFILES[name], questions=QUESTIONS, seed=seed)

    requests = served(log)

    paid = sum(cost(usage=each.spent.generation, price=SONNET) + each.spent.before for each in requests)
    bound = least(requests, price=SONNET, fresh_s=300)
    assert 0 < bound <= paid < bound * 2
    assert least(requests, price=SONNET, fresh_s=300, refusals_kept=True) <= bound


def served(log: Sequence[Event]) -> list[Request]:
    """What m6 does, without its providers: every third question is refused, sources have 900 to 1,500 tokens."""
    fresh: dict[str, int] = {}
    kept: dict[tuple[str, ...], tuple[int, int]] = {}
    talks: dict[int | None, tuple[str, ...]] = {}
    requests: list[Request] = []
    for event in log:
        number = sum(map(ord, event.key or event.text))
        answered, blocks = number % 3 > 0, tuple[str, ...]()
        if event.session is not None:
            blocks = (*talks.get(event.session, ()), f"{event.key or event.text} {900 + number % 7 * 100}")
            talks[event.session] = blocks
        if event.key in fresh and event.at_s < fresh[event.key]:
            requests.append(Request(event, Spent(), answered, blocks))
            continue
        if event.key is not None:
            fresh[event.key] = event.at_s + (300 if answered else 1)
        warm = any(request.spent.generated for request in requests)
        usage = Usage(cache_read=PREFIX) if warm else Usage(cache_write_1h=PREFIX)
        usage += in_session(blocks, event.at_s, kept) if blocks else Usage(input_tokens=900 + number % 7 * 100)
        usage += Usage(input_tokens=60, output_tokens=50 + number % 80)
        requests.append(Request(event, Spent(rerank=Decimal("0.002"), generation=usage), answered, blocks))
    return requests


def in_session(blocks: tuple[str, ...], at_s: int, kept: dict[tuple[str, ...], tuple[int, int]]) -> Usage:
    """The longest beginning that is still kept is read, the rest is written; `kept`: (tokens, until when)."""
    whole = sum(int(block.split()[-1]) for block in blocks)
    alive = [each for each in beginnings(blocks) if each in kept and at_s < kept[each][1]]
    read = kept[alive[-1]][0] if alive else 0
    for each in (*alive[-1:], blocks):
        kept[each] = (sum(int(block.split()[-1]) for block in each), at_s + 300)
    return Usage(cache_read=read, cache_write_5m=whole - read)


def test_sessions_that_go_the_same_way_read_what_the_other_wrote() -> None:
    usages = (Usage(cache_write_1h=PREFIX, cache_write_5m=1_000), Usage(cache_read=PREFIX + 1_000))
    pairs = zip((Event(0, "Why?", 1), Event(30, "Why?", 2)), usages, strict=True)
    requests = [Request(event, Spent(generation=usage), False, ("sources",)) for event, usage in pairs]

    assert least(requests, price=SONNET, fresh_s=300) == (2 * PREFIX * 3 + 1_000 * Decimal("4.05")) / 1_000_000


def test_windows_begin_where_none_covers_yet() -> None:
    assert windows([], length_s=300) == []
    assert windows([0, 0, 300, 301, 500, 602], length_s=300) == [0, 301, 602]


def test_a_prompt_is_divided_in_its_order() -> None:
    usage = Usage(input_tokens=10, cache_write_5m=20, cache_write_1h=30, cache_read=40, output_tokens=5)

    first, rest = divided(usage, at=75)

    assert first == Usage(cache_read=40, cache_write_1h=30, cache_write_5m=5)
    assert rest == Usage(cache_write_5m=15, input_tokens=10, output_tokens=5)


def test_the_components_add_up_to_what_was_paid() -> None:
    usage = Usage(input_tokens=1_000, cache_write_5m=200, cache_write_1h=2_400, output_tokens=150)
    spent = Spent(Decimal("0.0002"), Decimal("0.000002"), Decimal("0.002"), usage)

    parts = by_component([spent, Spent()], prefix=2_400, price=SONNET)

    assert parts["prefix"] == Decimal("0.0144")
    assert parts["output"] == Decimal("0.00225")
    assert sum(parts.values()) == spent.before + cost(usage=usage, price=SONNET)


def test_the_hit_rate_is_read_of_read_and_written() -> None:
    spent = [Spent(generation=Usage(cache_write_1h=100, input_tokens=999)), Spent(generation=Usage(cache_read=300))]

    assert prompt_hit_rate(spent) == 0.75
    assert prompt_hit_rate([Spent(generation=Usage(input_tokens=5)), Spent()]) is None


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps({"question": text}) + "\n" for text in ASKED))
    return path


def said(capsys: pytest.CaptureFixture[str], questions: Path, *arguments: str) -> str:
    capsys.readouterr()
    call_command("traffic", "--corpus", "handbook", "--questions", str(questions), *arguments)
    return capsys.readouterr().out


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
class TestCommand:
    def test_json_compares_both_arms_and_nothing_costs_less_than_the_bound(
        self, corpus: IngestReport, questions: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        report = json.loads(said(capsys, questions, "--profile", "light", "--json"))

        plain, cached = report["m4"], report["m6"]
        assert set(report) == {"profile", "m4", "m6", "saving", "over_oracle"}
        assert report["profile"] == "light"
        assert cached["cost_per_query_usd"] < plain["cost_per_query_usd"]
        assert report["saving"] == pytest.approx(
            1 - cached["cost_per_query_usd"] / plain["cost_per_query_usd"], abs=1e-4
        )
        assert 0 <= report["over_oracle"] < 1
        assert cached["oracle_keeping_refusals_per_query_usd"] <= cached["oracle_per_query_usd"]
        assert 0 < cached["answer_cache_hit_rate"] < 1
        assert 0 < cached["prompt_cache_hit_rate"] < 1
        for arm in (plain, cached):
            assert sum(arm["components_usd"].values()) == pytest.approx(arm["cost_per_query_usd"], abs=1e-7)

    def test_everything_is_booked_as_it_was_billed_under_a_kind_of_its_own(
        self, corpus: IngestReport, providers: str, questions: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        seen, before = bill(providers)["count"], clock.now()

        printed = said(capsys, questions, "--profile", "light").splitlines()

        entries = bill(providers, since=seen)["entries"]
        booked = list(LedgerEntry.objects.filter(kind="traffic"))
        keys = {entry["key"] for entry in entries}
        billed = [account_of_bill(entries, key) for key in keys]
        assert len(keys) == 2, "each arm has its own"
        assert account_of_ledger(booked).usd == sum(account.usd for account in billed) > 0
        assert account_of_ledger(booked).usage == sum((account.usage for account in billed), Usage())
        assert printed[-2].startswith("light, m4: ledger = bill: ")
        assert printed[-1].startswith("light, m6: ledger = bill: ")
        rows = TraceSummary.objects.filter(kind="traffic")
        assert rows.count() == 60
        assert all(
            before.timestamp() - 4 * HOUR_S < row.timestamp.timestamp() <= clock.now().timestamp() for row in rows
        )

    def test_this_process_is_as_before_and_a_replay_finds_nothing_kept(
        self, corpus: IngestReport, questions: Path, capsys: pytest.CaptureFixture[str], settings: LazySettings
    ) -> None:
        providers, caches = settings.PROVIDERS, settings.CACHES
        first, again = (json.loads(said(capsys, questions, "--profile", "distinct", "--json")) for _ in range(2))

        assert first["m6"]["answer_cache_hit_rate"] == again["m6"]["answer_cache_hit_rate"] == 0
        assert first["m6"]["ledger_usd"] == again["m6"]["ledger_usd"]
        assert (providers, caches) == (settings.PROVIDERS, settings.CACHES)
        assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 1

    def test_a_ledger_that_is_not_the_bill_ends_with_exit_status_1(
        self, corpus: IngestReport, providers: str, questions: Path, settings: LazySettings
    ) -> None:
        with httpx.Client(base_url=providers) as control:
            order = {"endpoint": "anthropic.messages", "fault": {"kind": "truncated_body"}, "times": 1}
            control.post("/_control", json=order).raise_for_status()

            with pytest.raises(CommandError, match=r"distinct, m4: the ledger has .*; the bill ") as failed:
                call_command(
                    "traffic", "--corpus", "handbook", "--questions", str(questions), "--profile", "distinct", "--json"
                )

        assert failed.value.returncode == 1


@pytest.mark.django_db
class TestRefusals:
    def refused(self, *arguments: str) -> CommandError:
        with pytest.raises(CommandError) as error:
            call_command("traffic", "--profile", "distinct", *arguments)
        assert error.value.returncode == 2
        assert not TraceSummary.objects.exists()
        return error.value

    @pytest.mark.parametrize("name", ["anthropic", "voyage", "openai", "cohere"])
    def test_when_a_provider_is_real(self, name: str, questions: Path, settings: LazySettings) -> None:
        settings.PROVIDERS = settings.PROVIDERS | {name: settings.PROVIDERS[name] | {"mode": "live"}}

        assert f"providers are real ({name})" in str(self.refused("--questions", str(questions)))

    def test_without_a_sandbox(self, questions: Path, settings: LazySettings) -> None:
        settings.SANDBOX_URL = "http://127.0.0.1:9"

        assert "does not answer" in str(self.refused("--questions", str(questions)))

    def test_without_a_corpus(self, providers: str, questions: Path) -> None:
        refusal = self.refused("--questions", str(questions), "--corpus", "nothing")

        assert "there is no corpus 'nothing'" in str(refusal)

    def test_without_questions(self, providers: str, tmp_path: Path) -> None:
        (tmp_path / "empty").write_text("\n")
        (tmp_path / "odd").write_text('["no object"]\n')

        assert "no questions to ask" in str(self.refused("--questions", str(tmp_path / "empty")))
        for name in ("odd", "missing"):
            assert "no questions in" in str(self.refused("--questions", str(tmp_path / name)))
