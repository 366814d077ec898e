"""A prompt on trial in the admin: begun with a share, shown side by side, finished or cancelled."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from django.urls import reverse

from prompts.models import Activation, Prompt
from prompts.publishing import activate, bump
from prompts.versions import serving
from rag.models import TraceSummary
from rag.tests.test_admin_prompts import activation_of, page_of, somebody_who_may, text_of
from rag.tests.test_arms import row

pytestmark = pytest.mark.django_db


@pytest.fixture
def second(answer, first):
    return bump(prompt=answer, instructions="Be brief.", examples="One.", note="shorter", author=None).version


@pytest.fixture
def trial(second):
    return activate(version=second, who=None, why="a tenth first", share=10)


def asked(version: str, costs: Sequence[str], **facts: Any) -> None:
    """One answered question for each of the costs."""
    for number, cost in enumerate(costs):
        row(f"{version} {cost} {facts} {number}", prompt=f"answer {version}", cost=cost, **facts)


def told(response):
    """What the panel says, by the title of the row: both arms, verdict, interval."""
    return {row.title: (row.serving, row.tried, row.verdict, row.interval) for row in response.context["trial_rows"]}


class TestBeginning:
    def test_a_share_below_100_begins_a_trial(self, staff_page, answer, second, alice):
        response = staff_page.post(activation_of(second), {"why": "a tenth first", "share": 10}, follow=True)

        line = Activation.objects.latest("id")
        assert (line.version, line.who, line.why, line.share) == (second, alice, "a tenth first", 10)
        assert serving()["answer"].text.version == "v1"
        assert "answer v2 is on trial from now on: 10 % of those who ask get it, the others v1." in text_of(response)

    def test_everybody_is_what_the_page_suggests(self, staff_page, second):
        assert staff_page.get(activation_of(second)).context["form"]["share"].value() == 100

    @pytest.mark.parametrize("share", ["", "0", "101", "-5", "9.5", "ten"])
    def test_a_share_is_a_whole_percentage(self, staff_page, second, share):
        response = staff_page.post(activation_of(second), {"why": "x", "share": share})

        assert "share" in response.context["form"].errors
        assert not Activation.objects.filter(version=second).exists()

    def test_the_same_share_again_would_only_divide_the_askers_anew(self, staff_page, second, trial):
        response = staff_page.post(activation_of(second), {"why": "again", "share": 10}, follow=True)

        assert "answer v2 is on trial with 10 % already: nothing was changed." in text_of(response)
        assert Activation.objects.latest("id") == trial

    def test_a_share_can_grow(self, staff_page, second, trial):
        staff_page.post(activation_of(second), {"why": "looks well", "share": 50})

        now = serving()["answer"]
        assert now.trial is not None
        assert (now.text.version, now.trial.text.version, now.trial.share) == ("v1", "v2", 50)

    def test_a_version_that_serves_is_told_to_have_nothing_to_be_tried_against(self, staff_page, first, trial):
        response = staff_page.post(activation_of(first), {"why": "x", "share": 10})

        assert "No trial is possible: answer v1 serves already" in text_of(response)
        assert Activation.objects.latest("id") == trial

    def test_the_first_version_ever_goes_to_everybody(self, staff_page):
        prompt = Prompt.objects.create(name="summary", purpose="Sums up.")
        version = bump(prompt=prompt, instructions="Sum up.", examples="", note="new", author=None).version

        assert staff_page.get(activation_of(version)).context["form"]["share"].is_hidden
        refused = staff_page.post(activation_of(version), {"why": "x", "share": 10})
        assert "or nothing does" in text_of(refused)

    def test_the_judge_is_tried_on_nobody(self, staff_page):
        judge = Prompt.objects.get(name="judge")
        version = bump(prompt=judge, instructions="Judge.", examples="", note="n", author=None).version

        assert staff_page.get(activation_of(version)).context["form"]["share"].is_hidden


class TestThePanel:
    def test_it_shows_both_arms_and_what_differs_by_more_than_chance(self, staff_page, answer, trial):
        asked("v1", ["0.0100", "0.0102"] * 20)
        asked("v2", ["0.0050", "0.0052"] * 20)
        TraceSummary.objects.filter(trace_id__startswith="v2 0.0050").update(degraded=True)

        response = staff_page.get(page_of(answer))

        assert told(response) == {
            "Questions": ("40", "40", "", ""),
            "Answered": ("100.0 %", "100.0 %", "the difference is noise", "0.0 points to 0.0 points"),
            "Cost per question": (
                "$0.010100",
                "$0.005100",
                "lower by $0.005000, more than chance",
                "−$0.005044 to −$0.004956",
            ),
            "Time, mean": ("100 ms", "100 ms", "the difference is noise", "0 ms to 0 ms"),
            "Time, median": ("100 ms", "100 ms", "", ""),
            "Degraded": ("0.0 %", "50.0 %", "", ""),
        }
        assert "lower by $0.005000, more than chance" in text_of(response)

    def test_it_says_which_way_the_answered_rate_went(self, staff_page, answer, trial):
        asked("v1", ["0.01"] * 20, answered=False)
        asked("v1", ["0.02"] * 20)
        asked("v2", ["0.01"] * 40)

        response = staff_page.get(page_of(answer))

        assert told(response)["Answered"][:3] == ("50.0 %", "100.0 %", "higher by 50.0 points, more than chance")

    def test_it_says_when_there_are_too_few_questions(self, staff_page, answer, trial):
        asked("v1", ["0.01"] * 40)
        asked("v2", ["0.02"] * 12)
        TraceSummary.objects.filter(trace_id__endswith=" 0", query="?").update(cost_usd=None)

        response = staff_page.get(page_of(answer))

        few = "too few questions yet (12 of 30 in the smaller arm)"
        assert told(response)["Answered"] == ("100.0 %", "100.0 %", few, "")
        assert told(response)["Cost per question"][2] == "too few priced questions yet (11 of 30 in the smaller arm)"

    def test_it_shows_dashes_before_the_first_question(self, staff_page, answer, trial):
        response = staff_page.get(page_of(answer))

        assert told(response)["Cost per question"][:2] == ("-", "-")
        assert "(0 of 30 in the smaller arm)" in text_of(response)

    def test_it_counts_the_money_that_the_service_spends_now_and_names_it(self, staff_page, answer, trial):
        asked("v2", ["0.01"] * 3, mode="live")
        asked("v2", ["0.01"] * 2)

        response = staff_page.get(page_of(answer))

        assert response.context["trial_mode"] == "simulated"
        assert told(response)["Questions"][:2] == ("0", "2")
        assert "only simulated traffic is counted" in text_of(response)

    def test_it_is_there_while_a_trial_lasts(self, staff_page, answer, first, trial):
        during = text_of(staff_page.get(page_of(answer)))
        activate(version=first, who=None, why="cancelled")
        after = text_of(staff_page.get(page_of(answer)))

        for offered in ("Finish: give it to everybody", "Cancel: go back to v1 for everybody", "Cancel the trial"):
            assert offered in during
            assert offered not in after

    def test_it_takes_the_same_queries_however_many_questions(
        self, staff_page, answer, trial, django_assert_max_num_queries
    ):
        asked("v1", ["0.01"] * 40)
        asked("v2", ["0.01"] * 40)

        with django_assert_max_num_queries(14):
            staff_page.get(page_of(answer))


class TestEnding:
    def test_finishing_gives_it_to_everybody_with_the_reason_filled_in(self, staff_page, answer, second, trial):
        response = self.confirm(staff_page, second)

        line = Activation.objects.latest("id")
        assert (line.version, line.share, line.why) == (second, 100, "Trial of v2 finished: v2 for everybody")
        assert (serving()["answer"].text.version, serving()["answer"].trial) == ("v2", None)
        assert "answer v2 serves everybody from now on." in text_of(response)

    def test_cancelling_goes_back_for_everybody_with_the_reason_filled_in(self, staff_page, answer, first, trial):
        self.confirm(staff_page, first)

        line = Activation.objects.latest("id")
        assert (line.version, line.share, line.why) == (first, 100, "Trial of v2 cancelled: v1 for everybody")
        assert (serving()["answer"].text.version, serving()["answer"].trial) == ("v1", None)

    def test_a_third_version_ends_it_too_and_the_page_says_so(self, staff_page, answer, trial):
        third = bump(prompt=answer, instructions="X", examples="", note="n", author=None).version

        assert "That ends the trial of v2." in text_of(staff_page.get(activation_of(third)))

    def test_the_history_tells_shares(self, staff_page, answer, first, second, trial):
        activate(version=first, who=None, why="cancelled")
        activate(version=second, who=None, why="after all")

        text = text_of(staff_page.get(page_of(answer)))

        lines = ["<strong>v1 → v2</strong>", "<strong>v1 to everybody</strong>", "<strong>v2 to 10 %</strong>"]
        assert sorted(lines, key=text.index) == lines
        assert "10 %" in text_of(staff_page.get(reverse("admin:prompts_activation_changelist")))

    @staticmethod
    def confirm(client, version):
        """Press the button of the page as it comes."""
        form = client.get(activation_of(version)).context["form"]
        return client.post(activation_of(version), {field.name: field.value() for field in form}, follow=True)


def test_who_may_not_activate_sees_the_figures_and_no_buttons(client, answer, first, second, trial):
    client.force_login(somebody_who_may("view_prompt", "view_promptversion", "add_promptversion"))

    text = text_of(client.get(page_of(answer)))

    assert "Cost per question" in text
    for hidden in ("Finish", "Cancel", "/activate/"):
        assert hidden not in text
    for version in (first, second):
        assert client.get(activation_of(version)).status_code == 403
        assert client.post(activation_of(version), {"why": "x", "share": 100}).status_code == 403
    assert Activation.objects.latest("id") == trial


@pytest.mark.parametrize(
    ("label", "serves", "why"),
    [
        ("Finish: give it to everybody", "v2", "Trial of v2 finished: v2 for everybody"),
        ("Cancel: go back to v1 for everybody", "v1", "Trial of v2 cancelled: v1 for everybody"),
    ],
)
def test_one_click_ends_a_trial(staff_page, answer, trial, label, serves, why):
    pressed(staff_page, page_of(answer), label)

    line = Activation.objects.latest("id")
    assert (line.version.label, line.share, line.why) == (serves, 100, why)
    assert (serving()["answer"].text.version, serving()["answer"].trial) == (serves, None)


def test_one_click_rolls_back(staff_page, answer, second):
    activate(version=second, who=None, why="try it")

    pressed(staff_page, page_of(answer), "Roll back to v1")

    line = Activation.objects.latest("id")
    assert (line.version.label, line.share, line.why) == ("v1", 100, "Rolled back from v2 to v1")


def pressed(client, address: str, label: str) -> None:
    """Press the one button of that label, as a browser does: its form with its hidden fields is sent, and nothing else."""
    page = client.get(address).content.decode()
    (form,) = [form for form in re.findall(r"<form method=\"post\".*?</form>", page, re.DOTALL) if label in form]
    (action,) = re.findall(r'action="([^"]*)"', form)
    fields = dict(re.findall(r'name="(share|why)" value="([^"]*)"', form))
    client.post(action, fields)
