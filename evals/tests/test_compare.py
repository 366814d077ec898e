"""`manage.py compare`: a prompt that does harm is caught, one that changes nothing is not called progress."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from evals.models import EvalRun
from prompts.models import Prompt, PromptVersion
from prompts.publishing import bump
from rag.ingest import IngestReport

pytestmark = pytest.mark.django_db

CARELESS = "Answer the question from the passages inside <sources>. Say NO_ANSWER: when they do not hold the answer."


def bumped(instructions: str) -> PromptVersion:
    prompt = Prompt.objects.get(name="answer")
    return bump(prompt=prompt, instructions=instructions, examples="", note="a test", author=None).version


def runs(small_set: Path, *more: str, modules: str = "m3") -> list[EvalRun]:
    command = ["evaluate", "--dataset", str(small_set), "--corpus", "handbook", "--modules", modules, "--no-judge"]
    call_command(*command, "--parallel", "1", *more)
    return list(EvalRun.objects.order_by("pk"))


def said(capsys: pytest.CaptureFixture[str], *runs: EvalRun, more: tuple[str, ...] = ()) -> str:
    capsys.readouterr()
    call_command("compare", *(str(run.pk) for run in runs), *more)
    return capsys.readouterr().out


def test_a_prompt_that_drops_the_citations_is_caught(
    corpus: IngestReport, small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cite" not in bumped(CARELESS).instructions.lower()

    before, after = runs(small_set, "--prompt-version", "v1,v2")

    told = said(capsys, before, after)
    assert f"{after} is worse than {before}: -1.000 (1.000 to 0.000) over 12 questions" in told
    assert [line for line in told.splitlines() if "worse than" in line or "better than" in line] != []
    assert "recall_at_5: " in told


def test_an_edit_that_changes_nothing_is_no_difference_shown(
    corpus: IngestReport, small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    active = Prompt.objects.get(name="answer").versions.get(number=1)
    bumped(f"{active.instructions}\n\nThank you.")

    told = said(capsys, *runs(small_set, "--prompt-version", "v1,v2"))

    verdicts = [line for line in told.splitlines() if line.startswith("  ") and ":" in line]
    assert verdicts
    assert all("No difference shown: the value is the same for all" in line for line in verdicts)


def test_cost_and_latency_are_compared_when_they_are_named(
    corpus: IngestReport, small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = runs(small_set, modules="m1,m3")

    told = said(capsys, first, second, more=("--metric", "cost_usd"))

    assert f"{second} is worse than {first}" in told
    assert "recall_at_5" not in told
    assert "(simulated providers)" in told


def test_the_comparison_can_be_had_as_markdown(corpus: IngestReport, small_set: Path, tmp_path: Path) -> None:
    first, second = runs(small_set, modules="m1,m3")

    call_command("compare", str(first.pk), str(second.pk), "--markdown", str(tmp_path / "report.md"))

    assert (tmp_path / "report.md").read_text("utf-8").startswith("| metric | before | after |")


def test_a_run_is_not_compared_with_itself_nor_with_one_that_is_not_there(
    corpus: IngestReport, small_set: Path
) -> None:
    (run,) = runs(small_set, "--limit", "1")

    for other in (run.pk, 12345):
        with pytest.raises(CommandError) as refused:
            call_command("compare", str(run.pk), str(other))
        assert refused.value.returncode == 2


def test_runs_over_other_questions_are_not_compared(corpus: IngestReport, small_set: Path) -> None:
    first, *_ = runs(small_set, "--limit", "2")
    _, second = runs(small_set, "--limit", "3")

    with pytest.raises(CommandError, match="did not ask the same questions"):
        call_command("compare", str(first.pk), str(second.pk))


def test_simulated_and_live_runs_are_not_compared(corpus: IngestReport, small_set: Path) -> None:
    first, second = runs(small_set, "--limit", "1", modules="m1,m3")
    EvalRun.objects.filter(pk=second.pk).update(provider_mode="live")

    with pytest.raises(CommandError, match="is simulated"):
        call_command("compare", str(first.pk), str(second.pk))
