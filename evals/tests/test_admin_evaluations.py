"""Evaluations in the admin: asked for, followed, stopped, compared; "did my edit help?" on the page of a prompt version."""

from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django.fixtures import Settings

from evals import worker_runs
from evals.models import EvalRun
from evals.planning import Plan
from evals.run_comparison import QUALITY
from evals.tests.test_compare import CARELESS, bumped
from prompts.models import Prompt, PromptVersion
from rag.ingest import IngestReport

pytestmark = pytest.mark.django_db
ASK = "/admin/evals/evalrun/ask/"
GIVEN = {"dataset": "small", "modules": ["m3-hybrid"], "judge_repeat": "1", "budget_usd": "5"}


@pytest.fixture
def world(corpus: IngestReport, small_set: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small set in the place of the shipped one."""
    settings.DEFAULT_CORPUS, settings.DEFAULT_MODULE = "handbook", "m3-hybrid"
    monkeypatch.setattr("evals.dataset.SHIPPED", small_set.parent)
    monkeypatch.setattr("evals.admin.asking.SHIPPED", small_set.parent)
    for module in ("evals.prompt_help", "evals.reusing"):
        monkeypatch.setattr(f"{module}.DEFAULT_DATASET", "small")


@pytest.fixture
def charlie(client: Client, db: None) -> Client:
    """Signed in as somebody who may read evaluations and prompts, and start nothing."""
    user = User.objects.create_user("charlie", password="charlie", is_staff=True)
    names = ("view_evalrun", "view_prompt", "view_promptversion")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return client


@pytest.fixture
def staff(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, response
    return response.content.decode()


class TestAsking:
    def test_an_estimate_asks_and_keeps_nothing(self, world: None, staff: Client) -> None:
        response = staff.post(ASK, GIVEN | {"estimate": ""})

        assert "1 run, 14 questions" in " ".join(response.content.decode().split())
        assert not EvalRun.objects.exists()

    def test_what_is_started_is_asked_by_a_worker_and_followed_on_its_page(self, world: None, staff: Client) -> None:
        started = staff.post(ASK, GIVEN | {"start": "", "limit": "2"})
        run = EvalRun.objects.get()
        assert started["Location"] == f"/admin/evals/evalrun/{run.pk}/change/"
        waiting = staff.get(started["Location"])
        assert (waiting["Refresh"], "waits for a worker" in waiting.content.decode()) == ("3", True)

        worker_runs.ask_waiting_runs(parallel=1)

        done = staff.get(started["Location"])
        assert "Refresh" not in done.headers
        assert "2 of 2" in done.content.decode()
        assert (run.asked_by_id, EvalRun.objects.get().state) == (User.objects.get().pk, "done")

    @pytest.mark.parametrize(
        ("field", "value", "reason"),
        [
            ("budget_usd", "0", "greater than or equal to 0.01"),
            ("budget_usd", "", "required"),
            ("modules", [], "required"),
            ("dataset", "/etc/passwd", "valid choice"),
            ("limit", "0", "greater than or equal to 1"),
            ("prompt_versions", ["v99"], "valid choice"),
        ],
    )
    def test_what_cannot_be_asked_is_refused_by_name(
        self, field: str, value: object, reason: str, world: None, staff: Client
    ) -> None:
        response = staff.post(ASK, GIVEN | {"start": "", field: value})

        assert reason in response.content.decode()
        assert not EvalRun.objects.exists()

    def test_a_corpus_that_is_not_there_is_told(self, world: None, staff: Client, settings: Settings) -> None:
        settings.DEFAULT_CORPUS = "nowhere"

        assert "there is no corpus &#x27;nowhere&#x27;" in staff.post(ASK, GIVEN | {"start": ""}).content.decode()

    def test_who_may_only_read_starts_and_stops_nothing(self, world: None, charlie: Client, small_set: Path) -> None:
        (run,) = worker_runs.asked_for(Plan(dataset="small", modules=("m3-hybrid",), judge=False))

        page = text_of(charlie, f"/admin/evals/evalrun/{run.pk}/change/")
        answers = [
            charlie.post(url).status_code
            for url in (ASK, f"/admin/evals/evalrun/{run.pk}/stopping/", f"/admin/evals/evalrun/{run.pk}/resuming/")
        ]

        assert answers == [403, 403, 403]
        assert "to-stop" not in page
        assert EvalRun.objects.get().state == "queued"


def test_a_run_is_stopped_and_goes_on(world: None, staff: Client) -> None:
    staff.post(ASK, GIVEN | {"start": "", "limit": "1"})
    run = EvalRun.objects.get()
    page = f"/admin/evals/evalrun/{run.pk}"
    assert f"{page}/to-stop" in text_of(staff, f"{page}/change/")

    staff.post(f"{page}/stopping/")
    run.refresh_from_db()
    assert (run.state, run.error) == ("stopped", "stopped in the admin")
    assert f"{page}/to-resume" in text_of(staff, f"{page}/change/")

    staff.post(f"{page}/resuming/")
    worker_runs.ask_waiting_runs(parallel=1)
    run.refresh_from_db()
    assert run.state == "done"


class TestDidItHelp:
    def test_one_click_asks_both_versions_and_a_lost_citation_is_caught(self, world: None, staff: Client) -> None:
        careless = bumped(CARELESS)
        page = text_of(staff, f"/admin/prompts/promptversion/{careless.pk}/change/")
        assert "Ask v1 and v2 the same 14 questions" in page

        clicked = staff.post(f"/admin/prompts/promptversion/{careless.pk}/did-it-help/")
        assert "The comparison appears when both are done" in text_of(staff, clicked["Location"])
        worker_runs.ask_waiting_runs(parallel=1)

        told = text_of(staff, clicked["Location"])
        assert "citation recall worse" in " ".join(told.split())
        assert "-1.000 (1.000 to 0.000) over 12 questions" in told
        assert "leave-0" in told

    def test_an_edit_that_changes_nothing_is_no_difference_shown(self, world: None, staff: Client) -> None:
        active = Prompt.objects.get(name="answer").versions.get(number=1)
        polite = bumped(f"{active.instructions}\n\nThank you.")

        clicked = staff.post(f"/admin/prompts/promptversion/{polite.pk}/did-it-help/")
        worker_runs.ask_waiting_runs(parallel=1)

        told = text_of(staff, clicked["Location"])
        assert "<h1>No difference shown: nothing became better or worse by more than luck.</h1>" in told
        quality, _, cost_and_time = told.partition("<h2>Cost and time</h2>")
        assert cost_and_time
        assert quality.count('badge-plain">no difference shown') == len(QUALITY)
        assert '">better</span>' not in quality
        assert "An improvement shows only when 6 questions or more turn better" in told

    def test_what_was_asked_already_is_not_asked_again(self, world: None, staff: Client) -> None:
        polite = bumped(
            "Answer from the sources, and cite them as [id]. Say NO_ANSWER: when they do not hold the answer."
        )
        url = f"/admin/prompts/promptversion/{polite.pk}/did-it-help/"
        staff.post(url)
        worker_runs.ask_waiting_runs(parallel=1)

        again = staff.post(url)

        assert EvalRun.objects.count() == 2
        before, after = EvalRun.objects.order_by("prompt_version")
        assert again["Location"].endswith(f"?before={before.pk}&after={after.pk}")
        assert "Show v2 against v1" in text_of(staff, f"/admin/prompts/promptversion/{polite.pk}/change/")

    def test_the_version_that_serves_has_nothing_to_be_compared_with(self, world: None, staff: Client) -> None:
        active = PromptVersion.objects.get(prompt__name="answer")

        assert "this version serves" in text_of(staff, f"/admin/prompts/promptversion/{active.pk}/change/")
        staff.post(f"/admin/prompts/promptversion/{active.pk}/did-it-help/")
        assert not EvalRun.objects.exists()

    def test_other_prompts_have_no_such_question(self, world: None, staff: Client) -> None:
        hyde = PromptVersion.objects.get(prompt__name="hyde")

        assert "did-it-help" not in text_of(staff, f"/admin/prompts/promptversion/{hyde.pk}/change/")
        assert staff.post(f"/admin/prompts/promptversion/{hyde.pk}/did-it-help/").status_code == 404

    def test_who_may_not_start_it_sees_no_button(self, world: None, charlie: Client) -> None:
        careless = bumped(CARELESS)

        page = text_of(charlie, f"/admin/prompts/promptversion/{careless.pk}/change/")

        assert "formaction" not in page
        assert charlie.post(f"/admin/prompts/promptversion/{careless.pk}/did-it-help/").status_code == 403
        assert not EvalRun.objects.exists()


class TestComparing:
    def test_runs_over_different_questions_are_refused_with_the_reason(self, world: None, staff: Client) -> None:
        for limit in ("1", "2"):
            staff.post(ASK, GIVEN | {"start": "", "limit": limit})
        worker_runs.ask_waiting_runs(parallel=1)
        first, second = EvalRun.objects.order_by("pk")

        told = text_of(staff, f"/admin/evals/evalrun/compare/?before={first.pk}&after={second.pk}")

        assert "cannot be compared" in told
        assert "did not ask the same questions" in told

    def test_one_measure_decides_when_it_is_named(self, world: None, staff: Client) -> None:
        staff.post(ASK, GIVEN | {"start": "", "modules": ["m1-baseline", "m3-hybrid"]})
        worker_runs.ask_waiting_runs(parallel=1)
        first, second = EvalRun.objects.order_by("pk")

        told = text_of(staff, f"/admin/evals/evalrun/compare/?before={first.pk}&after={second.pk}&metric=cost_usd")

        assert "m3-hybrid v1 (run" in told
        assert "cost usd worse" in " ".join(told.split())
        assert told.count('class="panel measure"') == 1

    @pytest.mark.parametrize("query", ["before=1&after=99", "before=x&after=1", "before=&after=1&metric=luck"])
    def test_nonsense_is_not_found(self, query: str, world: None, staff: Client) -> None:
        assert staff.get(f"/admin/evals/evalrun/compare/?{query}").status_code == 404
