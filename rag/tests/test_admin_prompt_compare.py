"""The comparison of two versions of a prompt: their texts, and what each answers."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from prompts.models import Prompt
from prompts.publishing import activate, bump
from rag.models import TraceSummary
from rag.prompt_figures import figures_by_version
from rag.tests.factories import StaffFactory
from rag.tests.small_world import HELD, NOT_HELD, break_provider, entries_of, line_of

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def second(answer, first):
    instructions = first.instructions.replace("one to five sentences", "at most three sentences")
    return bump(prompt=answer, instructions=instructions, examples=first.examples, note="shorter", author=None).version


def compare(client, prompt, **query):
    return client.get(reverse("admin:prompts_prompt_compare", args=[prompt.pk]), query)


def tried(client, prompt, version, question=HELD, **fields):
    form = {"question": question, "corpus": "handbook", "module": "m6-production", "version": version.pk} | fields
    return client.post(reverse("admin:prompts_prompt_try", args=[prompt.pk]), form)


def text_of(response):
    return " ".join(response.content.decode().split())


class TestTheTexts:
    def test_the_words_that_changed_are_marked_on_both_sides(self, staff_page, answer, first, second):
        text = text_of(compare(staff_page, answer, old=first.pk, new=second.pk))

        assert "<del>one to five</del> sentences" in text
        assert "<ins>at most three</ins> sentences" in text
        assert "1 line edited, 0 removed, 0 added" in text

    def test_lines_far_from_a_change_are_folded_and_none_is_lost(self, staff_page, answer, first, second):
        response = compare(staff_page, answer, old=first.pk, new=second.pk)

        (name, counts, parts), _ = response.context["blocks"]
        assert (name, counts) == ("instructions", {"edited": 1, "removed": 0, "added": 0})
        assert [part.folded for part in parts] == [True, False, True]
        assert "\n".join(row.new.text for part in parts for row in part.rows) == second.instructions

    def test_it_begins_with_what_serves_against_the_newest(self, staff_page, answer, first, second):
        third = bump(prompt=answer, instructions="x", examples="", note="n", author=None).version

        before = compare(staff_page, answer).context
        activate(version=third, who=None, why="test")
        after = compare(staff_page, answer).context

        assert (before["old"], before["new"]) == (first, third)
        assert (after["old"], after["new"]) == (second, third)

    def test_a_single_version_is_compared_with_itself(self, staff_page, answer, first):
        assert "the same" in text_of(compare(staff_page, answer))

    @pytest.mark.parametrize("key", ["987654", "x", "1 OR 1"])
    def test_it_knows_no_other_versions(self, staff_page, answer, first, key):
        assert compare(staff_page, answer, old=key).status_code == 404

    def test_it_takes_no_version_of_another_prompt(self, staff_page, answer):
        other = Prompt.objects.get(name="hyde").versions.get()

        assert compare(staff_page, answer, new=other.pk).status_code == 404

    def test_it_escapes_both_texts(self, staff_page, answer, first):
        new = bump(prompt=answer, instructions=f"a {SCRIPT}", examples=SCRIPT, note=SCRIPT, author=None).version

        text = compare(staff_page, answer, old=first.pk, new=new.pk).content.decode()

        assert SCRIPT not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


class TestATry:
    def test_each_version_answers_with_its_cost_and_its_sources(self, staff_page, answer, first, second, corpus):
        bodies = [tried(staff_page, answer, version).json() for version in (first, second)]

        assert [body["prompt_version"] for body in bodies] == ["v1", "v2"]
        for body in bodies:
            assert body["answered"]
            assert body["citations"]
            assert body["sources"]
            assert dict(body["facts"])["Cost"] == f"${body['cost_usd']:.6f}"

    def test_it_is_traced_and_paid_and_is_no_traffic(self, staff_page, answer, second, corpus, alice):
        body = tried(staff_page, answer, second).json()

        line = line_of(body["trace_id"])
        assert (line["kind"], line["prompt_version"], line["user_id"]) == ("try", "v2", alice.pk)
        assert line["prompt_hash"] == second.content_hash
        assert {(entry.kind, entry.prompt_version) for entry in entries_of(body["trace_id"])} == {("try", "v2")}
        assert figures_by_version(since=None, provider_mode="simulated") == {}

    def test_it_never_gives_an_answer_from_the_cache(self, staff_page, answer, first, corpus):
        bodies = [tried(staff_page, answer, first).json() for _ in range(2)]

        assert [body["cache"]["answer"] for body in bodies] == ["bypass", "bypass"]

    def test_the_prefix_that_is_counted_is_the_one_that_the_provider_keeps(self, staff_page, answer, first, corpus):
        form = {"instructions": first.instructions, "examples": first.examples}
        counted = staff_page.post(reverse("admin:prompts_prompt_bump_tokens", args=[answer.pk]), form).json()

        usage = line_of(tried(staff_page, answer, first).json()["trace_id"])["prompt_cache"]

        assert usage["write_1h"] + usage["read"] == counted["tokens"]

    def test_what_the_documents_do_not_hold_is_told(self, staff_page, answer, first, corpus):
        body = tried(staff_page, answer, first, NOT_HELD).json()

        assert (body["answered"], body["citations"]) == (False, [])

    @pytest.mark.parametrize(
        ("fields", "status", "told"),
        [
            ({"question": ""}, 400, "the question is empty"),
            ({"corpus": "nowhere"}, 404, "there is no corpus 'nowhere'"),
        ],
    )
    def test_it_tells_what_is_wrong(self, staff_page, answer, first, corpus, fields, status, told):
        response = tried(staff_page, answer, first, **fields)

        assert response.status_code == status
        assert told in response.json()["problem"]

    def test_a_provider_that_fails_is_told_without_its_words(self, staff_page, answer, first, corpus, providers):
        break_provider(providers, "anthropic.messages", kind="status", status=529)

        response = tried(staff_page, answer, first, module="m3-hybrid")

        assert response.status_code == 503
        assert response.json()["problem"] == "A provider that this needs is not available now. (provider_busy)"

    @pytest.mark.parametrize(
        ("permission", "status"), [("add_promptversion", 200), ("add_activation", 200), (None, 403)]
    )
    def test_it_is_for_those_who_write_or_decide(self, client, answer, first, corpus, permission, status):
        person = StaffFactory.create()
        granted = [name for name in ("view_promptversion", permission) if name]
        person.user_permissions.set(Permission.objects.filter(codename__in=granted))
        client.force_login(person)

        assert ('id="try"' in text_of(compare(client, answer))) == (status == 200)
        assert tried(client, answer, first).status_code == status
        assert TraceSummary.objects.exists() == (status == 200)

    def test_only_the_answer_prompt_can_be_tried(self, staff_page):
        hyde = Prompt.objects.get(name="hyde")

        assert "Only versions of the answer prompt can be tried" in text_of(compare(staff_page, hyde))
        assert tried(staff_page, hyde, hyde.versions.get()).status_code == 403

    def test_there_are_so_many_in_a_minute(self, staff_page, answer, first):
        statuses = [tried(staff_page, answer, first, "").status_code for _ in range(21)]

        assert statuses == [400] * 20 + [429]


def test_the_whole_way(staff_page, answer, first, corpus):
    """Open, bump, compare, try, activate, roll back: each step by what the page before it offered."""
    page = reverse("admin:prompts_prompt_change", args=[answer.pk])
    editor = reverse("admin:prompts_prompt_bump", args=[answer.pk])
    assert editor in text_of(staff_page.get(page))
    form = dict(staff_page.get(editor).context["form"].initial) | {"note": "shorter answers", "based_on": first.pk}
    form["instructions"] = form["instructions"].replace("one to five", "one to three")

    comparison = staff_page.post(editor, form, follow=True)
    second = comparison.context["new"]
    activation = reverse("admin:prompts_promptversion_activate", args=[second.pk])
    assert activation in text_of(comparison)
    assert tried(staff_page, answer, second).json()["prompt_version"] == "v2"

    activated = staff_page.post(activation, {"why": "as good and shorter", "share": 100}, follow=True)
    back = f"{reverse('admin:prompts_promptversion_activate', args=[first.pk])}?back"
    assert back in text_of(activated)
    staff_page.post(back, {"why": staff_page.get(back).context["form"].initial["why"], "share": 100})

    history = [(str(line.version.label), line.why) for line in answer.activations.order_by("id")]
    assert history[1:] == [("v2", "as good and shorter"), ("v1", "Rolled back from v2 to v1")]
