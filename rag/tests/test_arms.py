import random
from decimal import Decimal

import pytest

from costs.models import LedgerEntry
from prompts.models import Activation, Prompt
from prompts.publishing import activate, bump
from rag import clock
from rag.arms import difference, trial_of
from rag.models import TraceSummary


def drawn(mean: float, n: int, seed: int) -> list[float]:
    generator = random.Random(seed)
    return [generator.gauss(mean, 1.0) for _ in range(n)]


def test_a_clear_difference_is_no_noise() -> None:
    found = difference("cost", drawn(10, 200, 1), drawn(9, 200, 2))

    assert not found.noise
    assert found.interval is not None
    assert found.interval[0] < -1 < found.interval[1] < 0


def test_the_same_is_called_noise_nineteen_times_in_twenty() -> None:
    claimed = sum(not difference("cost", drawn(10, 60, n), drawn(10, 60, 10_000 + n)).noise for n in range(1_000))

    assert 30 <= claimed <= 75


def test_a_few_questions_show_nothing() -> None:
    assert difference("cost", [1.0] * 29, [2.0] * 200).noise
    assert difference("cost", [], [1.0]).value is None


@pytest.mark.django_db
def test_the_arms_are_the_requests_that_sent_each_version() -> None:
    prompt = Prompt.objects.get(name="answer")
    v1 = prompt.versions.get(number=1)
    v2 = bump(prompt=prompt, instructions=v1.instructions + "!", examples="", note="try", author=None).version
    trial = activate(version=v2, who=None, why="try", share=50)
    for number in range(80):
        arm, cost = ("answer v1", "0.01") if number % 2 else ("answer v2", "0.005")
        row(f"t{number}", prompt=arm, cost=cost, answered=number % 4 != 0)
    row("other mode", prompt="answer v2", mode="live")

    found = trial_of(trial, provider_mode="simulated")

    assert [(arm.version, len(arm.questions)) for arm in (found.serving, found.tried)] == [("v1", 40), ("v2", 40)]
    assert (found.serving.answered, found.tried.answered) == (1.0, 0.5)
    assert found.serving.cost_usd == pytest.approx(0.01)
    assert found.tried.cost_usd == pytest.approx(0.005)
    verdicts = {each.what: each.noise for each in found.differences}
    assert verdicts == {"answered": False, "cost per question": False, "time": True}


@pytest.mark.django_db
def test_an_activation_in_full_is_no_trial() -> None:
    with pytest.raises(ValueError, match="is no trial"):
        trial_of(Activation.objects.get(prompt__name="answer"), provider_mode="simulated")


def row(trace_id: str, *, prompt: str, cost: str = "0.01", answered: bool = True, mode: str = "simulated") -> None:
    now = clock.now()
    TraceSummary.objects.create(
        trace_id=trace_id,
        timestamp=now,
        kind="ask",
        status=200,
        query="?",
        answered=answered,
        cost_usd=Decimal(cost),
        total_ms=100.0,
        provider_mode=mode,
    )
    LedgerEntry.objects.create(
        at=now,
        trace_id=trace_id,
        attempt=0,
        kind="ask",
        provider="anthropic",
        model="m",
        operation="generate",
        provider_mode=mode,
        outcome="ok",
        cost_usd=Decimal(cost),
        latency_ms=1.0,
        prompt=prompt,
    )
