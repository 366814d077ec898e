"""The page of a prompt: its versions, how they did, and who made which serve; and the pages of one version."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.urls import reverse

from prompts.models import Activation, Prompt, PromptVersion
from prompts.publishing import activate, bump
from prompts.versions import active_texts, serving
from rag import clock
from rag.admin.prompt_columns import Column
from rag.admin.prompts import PromptAdmin
from rag.tests.factories import StaffFactory, TraceSummaryFactory
from rag.tests.test_prompt_figures import book_calls

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def second(answer, first):
    return bump(
        prompt=answer, instructions="Be brief.", examples="One.", note="shorter", author=None, based_on=first
    ).version


def page_of(prompt):
    return reverse("admin:prompts_prompt_change", args=[prompt.pk])


def activation_of(version):
    return reverse("admin:prompts_promptversion_activate", args=[version.pk])


def text_of(response):
    """What a reader sees, without the white space of the template."""
    return " ".join(response.content.decode().split())


def cells_of(response, version):
    """The figures in the row of a version, by column title."""
    (cells,) = [cells for row, cells in response.context["rows"] if row == version]
    return {column.title: cell for column, cell in cells}


def somebody_who_may(*permissions):
    person = StaffFactory.create()
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return person


class TestThePageOfAPrompt:
    def test_it_shows_every_version_with_its_note_and_author(self, staff_page, answer, second, alice):
        bump(prompt=answer, instructions="X", examples="", note="a third one", author=alice)

        text = text_of(staff_page.get(page_of(answer)))

        for told in (">v1</a>", ">v2</a>", ">v3</a>", "shorter", "a third one", "alice", "shipped"):
            assert told in text

    def test_it_shows_the_figures_of_each_version(self, staff_page, answer, first, second):
        facts = {"prompt_version": "v1", "tokens_in": 10, "answer_cache": "miss"}
        TraceSummaryFactory.create(**facts, total_ms=800, cost_usd="0.002", cache_read=5)
        TraceSummaryFactory.create(**facts, total_ms=1500, cost_usd="0.004", answered=False)

        response = staff_page.get(page_of(answer))

        assert cells_of(response, first) == {
            "Questions": "2",
            "Cost per query": "$0.003000",
            "p50": "800 ms",
            "p95": "1.50 s",
            "Prompt cache": "50.0 %",
            "Answer cache": "0.0 %",
            "Answered": "50.0 %",
        }
        assert set(cells_of(response, second).values()) == {"-"}

    def test_it_shows_the_span_and_the_money_that_were_asked_for(self, staff_page, answer, first):
        TraceSummaryFactory.create(prompt_version="v1", timestamp=clock.now() - timedelta(days=3))
        TraceSummaryFactory.create(prompt_version="v1", provider_mode="live")

        asked = {span: {"days": span, "mode": "simulated"} for span in ("1", "7")}

        assert cells_of(staff_page.get(page_of(answer), asked["7"]), first)["Questions"] == "1"
        assert cells_of(staff_page.get(page_of(answer), asked["1"] | {"mode": "live"}), first)["Questions"] == "1"
        assert staff_page.get(page_of(answer), asked["1"]).context["modes"] == ("live",)

    def test_a_strange_span_is_the_usual_one(self, staff_page, answer):
        assert staff_page.get(page_of(answer), {"days": "'; --", "mode": SCRIPT}).context["span"] == 7

    def test_another_prompt_shows_the_calls_that_sent_it(self, staff_page, alice):
        hyde = Prompt.objects.get(name="hyde")
        bump(prompt=hyde, instructions="X", examples="", note="n", author=None)
        book_calls("hyde v2", [100.0, 300.0], cost_usd="0.0004")

        response = staff_page.get(page_of(hyde))

        (newest, _) = response.context["rows"]
        assert {column.title: cell for column, cell in newest[1]} == {
            "Calls": "2",
            "Cost per call": "$0.000400",
            "p50": "100 ms",
            "p95": "300 ms",
        }

    def test_a_room_above_can_add_columns(self, rf, alice, answer):
        class Scored(PromptAdmin):
            def more_columns(self, prompt):
                return (Column("Recall@5", "on the evaluation questions", {"v1": "0.91"}),)

        request = rf.get(page_of(answer))
        request.user = alice
        page: Any = Scored(Prompt, admin.site).change_view(request, str(answer.pk))

        assert [(column.title, cell) for column, cell in page.context_data["rows"][0][1]][-1] == ("Recall@5", "0.91")

    def test_it_shows_the_history_newest_first(self, staff_page, answer, first, second, alice):
        activate(version=second, who=alice, why="measured better")

        text = text_of(staff_page.get(page_of(answer)))

        assert text.index("v1 → v2") < text.index("shipped default")
        assert "measured better" in text

    def test_it_says_which_version_is_on_trial(self, staff_page, answer, second):
        activate(version=second, who=None, why="a tenth first", share=10)

        response = staff_page.get(page_of(answer))

        assert "v2 on trial: 10 %" in text_of(response)
        assert response.context["serves"].label == "v1"

    def test_it_takes_the_same_queries_however_many_versions(self, staff_page, answer, django_assert_max_num_queries):
        for number in range(12):
            bump(prompt=answer, instructions=f"{number}", examples="", note="n", author=None)

        with django_assert_max_num_queries(12):
            staff_page.get(page_of(answer))

    def test_it_escapes_what_people_wrote(self, staff_page, answer):
        version = bump(prompt=answer, instructions="x", examples="", note=SCRIPT, author=None).version
        activate(version=version, who=None, why=f"why {SCRIPT}")

        assert SCRIPT not in staff_page.get(page_of(answer)).content.decode()

    def test_nothing_is_changed_there(self, staff_page, answer):
        assert staff_page.post(page_of(answer), {"name": "other"}).status_code == 403
        assert staff_page.get(reverse("admin:prompts_prompt_change", args=[987654])).status_code == 404


class TestActivating:
    def test_it_activates_a_version_with_a_reason(self, staff_page, answer, second, alice):
        response = staff_page.post(activation_of(second), {"why": "measured better", "share": 100})

        line = Activation.objects.latest("id")
        assert response.url == page_of(answer)
        assert (line.version, line.who, line.why) == (second, alice, "measured better")
        assert active_texts()["answer"].version == "v2"

    def test_it_activates_nothing_without_a_reason(self, staff_page, second):
        before = Activation.objects.count()

        staff_page.post(activation_of(second), {"why": " ", "share": 100})

        assert Activation.objects.count() == before

    def test_what_serves_already_is_not_activated_again(self, staff_page, first):
        response = staff_page.post(activation_of(first), {"why": "again", "share": 100}, follow=True)

        assert "answer v1 serves already: nothing was changed." in text_of(response)
        assert Activation.objects.filter(prompt__name="answer").count() == 1

    def test_rolling_back_is_one_click_and_a_suggested_reason(self, staff_page, answer, first, second):
        activate(version=second, who=None, why="try it")

        page = staff_page.get(page_of(answer))
        offered = f"{activation_of(first)}?back"
        assert offered in text_of(page)
        why = staff_page.get(offered).context["form"].initial["why"]
        staff_page.post(offered, {"why": why, "share": 100})

        line = Activation.objects.latest("id")
        assert (line.version, line.previous, line.why) == (first, second, "Rolled back from v2 to v1")

    @pytest.mark.parametrize("kept", ["v1", "v2"])
    def test_activating_either_arm_in_full_ends_a_trial(self, staff_page, answer, second, kept):
        activate(version=second, who=None, why="a tenth first", share=10)
        arm = answer.versions.get(number=kept.removeprefix("v"))

        assert ("That ends the trial" in text_of(staff_page.get(activation_of(arm)))) == (kept == "v1")
        staff_page.post(activation_of(arm), {"why": "decided", "share": 100})

        serving_now = serving()["answer"]
        assert (serving_now.text.version, serving_now.trial) == (kept, None)


class TestPermissions:
    def test_who_may_only_look_sees_no_buttons_and_is_refused(self, client, answer, first, second):
        client.force_login(somebody_who_may("view_prompt", "view_promptversion"))
        text = text_of(client.get(page_of(answer)))

        for hidden in ("/bump/", "/activate/"):
            assert hidden not in text
        assert client.get(reverse("admin:prompts_promptversion_change", args=[first.pk])).status_code == 200
        for refused in (activation_of(second), reverse("admin:prompts_prompt_bump", args=[answer.pk])):
            assert client.get(refused).status_code == 403
            assert client.post(refused, {"why": "x", "instructions": "x", "note": "x"}).status_code == 403
        assert answer.versions.count() == 2

    def test_who_may_bump_may_not_activate(self, client, answer, second):
        client.force_login(somebody_who_may("view_prompt", "view_promptversion", "add_promptversion"))
        text = text_of(client.get(page_of(answer)))

        assert "/bump/" in text
        assert "/activate/" not in text
        assert client.post(activation_of(second), {"why": "x", "share": 100}).status_code == 403

    def test_who_may_activate_may_not_bump(self, client, answer, second):
        client.force_login(somebody_who_may("view_prompt", "add_activation"))
        text = text_of(client.get(page_of(answer)))

        assert "/activate/" in text
        assert "/bump/" not in text
        assert client.get(reverse("admin:prompts_prompt_bump", args=[answer.pk])).status_code == 403
        assert client.post(activation_of(second), {"why": "x", "share": 100}).status_code == 302

    def test_who_may_nothing_sees_nothing(self, client, answer):
        client.force_login(StaffFactory.create())

        for name in ("change", "compare", "bump"):
            assert client.get(reverse(f"admin:prompts_prompt_{name}", args=[answer.pk])).status_code == 403

    def test_strangers_are_sent_to_the_login(self, client, answer):
        response = client.get(reverse("admin:prompts_prompt_compare", args=[answer.pk]))

        assert "/login/" in response.url


class TestAVersion:
    def test_it_leads_on(self, staff_page, answer, first, second):
        base = f"/admin/prompts/promptversion/{second.pk}"

        bumped = reverse("admin:prompts_prompt_bump", args=[answer.pk])
        assert staff_page.get(f"{base}/bump/").url == f"{bumped}?from={second.pk}"
        compared = reverse("admin:prompts_prompt_compare", args=[answer.pk])
        assert staff_page.get(f"{base}/compare/").url == f"{compared}?old={first.pk}&new={second.pk}"
        assert staff_page.get(f"{base}/to-activate/").url == activation_of(second)

    def test_it_is_not_changed_and_not_deleted(self, staff_page, first):
        changed = staff_page.post(
            reverse("admin:prompts_promptversion_change", args=[first.pk]), {"instructions": "Other.", "note": "x"}
        )
        deleted = staff_page.post(reverse("admin:prompts_promptversion_delete", args=[first.pk]))

        assert (changed.status_code, deleted.status_code) == (403, 403)
        assert PromptVersion.objects.get(pk=first.pk).instructions == first.instructions

    def test_its_text_is_escaped(self, staff_page, answer):
        version = bump(prompt=answer, instructions=SCRIPT, examples="", note="test", author=None).version

        text = staff_page.get(reverse("admin:prompts_promptversion_change", args=[version.pk])).content.decode()

        assert SCRIPT not in text
        assert "&lt;script&gt;alert(1)" in text

    def test_the_list_marks_what_serves_and_not_what_is_on_trial(self, staff_page, first, second):
        activate(version=second, who=None, why="a tenth first", share=10)

        rows = staff_page.get(reverse("admin:prompts_promptversion_changelist")).context["cl"].result_list

        states = {str(row): row.serving_id == row.pk for row in rows if row.prompt.name == "answer"}
        assert states == {"answer v1": True, "answer v2": False}


@pytest.mark.parametrize("name", ["prompt", "promptversion", "activation"])
def test_lists_open_and_add_nothing(staff_page, name):
    assert staff_page.get(reverse(f"admin:prompts_{name}_changelist")).status_code == 200
    assert staff_page.get(reverse(f"admin:prompts_{name}_add")).status_code == 403


def test_the_list_of_prompts_names_the_version_that_serves(staff_page, second):
    activate(version=second, who=None, why="better")

    rows = staff_page.get(reverse("admin:prompts_prompt_changelist")).context["cl"].result_list

    assert {row.name: (row.active_number, row.version_count) for row in rows}["answer"] == (2, 2)
