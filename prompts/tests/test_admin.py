"""The pages of prompts and their versions."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from prompts.models import Activation, Prompt, PromptVersion
from prompts.publishing import bump
from prompts.texts import content_hash
from prompts.versions import active_texts

pytestmark = pytest.mark.django_db
ADD = "/admin/prompts/promptversion/add/"


@pytest.fixture
def staff_page(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def answer():
    return Prompt.objects.get(name="answer")


def post_bump(client, prompt, **fields):
    form = {"prompt": prompt.pk, "instructions": "Be brief.", "examples": "One.", "note": "shorter"} | fields
    return client.post(ADD, form)


def test_it_bumps_a_prompt(staff_page, answer, alice):
    post_bump(staff_page, answer)

    version = answer.versions.latest("number")
    assert (version.number, version.instructions, version.note, version.author) == (2, "Be brief.", "shorter", alice)


def test_a_bumped_version_does_not_serve_yet(staff_page, answer):
    post_bump(staff_page, answer)

    assert active_texts()["answer"].version == "v1"


def test_it_bumps_nothing_without_a_note(staff_page, answer):
    post_bump(staff_page, answer, note=" ")

    assert answer.versions.count() == 1


def test_it_keeps_the_line_ends_that_prompts_have(staff_page, answer):
    post_bump(staff_page, answer, instructions="Be brief.\r\nCite.", examples="One.\r\nTwo.")

    version = answer.versions.latest("number")
    assert version.content_hash == content_hash(instructions="Be brief.\nCite.", examples="One.\nTwo.")


def test_it_starts_from_the_text_that_serves(staff_page, answer):
    response = staff_page.get(f"/admin/prompts/prompt/{answer.pk}/bump/", follow=True)

    assert response.context["adminform"].form.initial["instructions"] == answer.versions.get().instructions


def test_it_tells_who_was_faster(staff_page, answer):
    first, carol = answer.versions.get(), User.objects.create_user("carol")
    bump(prompt=answer, instructions="Hers.", examples="", note="hers", author=carol, based_on=first)

    form = {"prompt": answer.pk, "instructions": "Mine.", "examples": "", "note": "mine"}
    page = staff_page.post(f"{ADD}?from={first.pk}", form, follow=True)

    said = [str(message) for message in page.context["messages"]]
    assert "answer v2 by carol is newer than v1, which you edited: its changes are not in v3." in said


def test_it_activates_a_version_with_a_reason(staff_page, answer, alice):
    version = bump(prompt=answer, instructions="New.", examples="", note="test", author=None).version

    staff_page.post(f"/admin/prompts/promptversion/{version.pk}/activate/", {"why": "measured better"})

    line = Activation.objects.latest("id")
    assert (line.version, line.who, line.why) == (version, alice, "measured better")
    assert active_texts()["answer"].version == "v2"


def test_it_activates_nothing_without_a_reason(staff_page, answer):
    before = Activation.objects.count()

    staff_page.post(f"/admin/prompts/promptversion/{answer.versions.get().pk}/activate/", {"why": ""})

    assert Activation.objects.count() == before


def test_it_lets_nobody_bump_or_activate_who_may_only_look(client, answer):
    carol = User.objects.create_user("carol", is_staff=True)
    carol.user_permissions.set(Permission.objects.filter(codename__in=["view_prompt", "view_promptversion"]))
    client.force_login(carol)
    version = answer.versions.get()

    assert client.get(reverse("admin:prompts_promptversion_change", args=[version.pk])).status_code == 200
    assert post_bump(client, answer).status_code == 403
    assert client.post(f"/admin/prompts/promptversion/{version.pk}/activate/", {"why": "x"}).status_code == 403


def test_it_changes_and_deletes_no_version(staff_page, answer):
    version = answer.versions.get()
    changed = staff_page.post(
        reverse("admin:prompts_promptversion_change", args=[version.pk]), {"instructions": "Other.", "note": "x"}
    )
    deleted = staff_page.post(reverse("admin:prompts_promptversion_delete", args=[version.pk]))

    assert (changed.status_code, deleted.status_code) == (403, 403)
    assert PromptVersion.objects.get(pk=version.pk).instructions == version.instructions


def test_it_escapes_the_text_of_a_prompt(staff_page, answer):
    version = bump(
        prompt=answer, instructions="<script>alert(1)</script>", examples="", note="test", author=None
    ).version

    text = staff_page.get(reverse("admin:prompts_promptversion_change", args=[version.pk])).content.decode()

    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize("name", ["prompt", "activation"])
def test_lists_open_and_add_nothing(staff_page, name):
    assert staff_page.get(reverse(f"admin:prompts_{name}_changelist")).status_code == 200
    assert staff_page.get(reverse(f"admin:prompts_{name}_add")).status_code == 403
