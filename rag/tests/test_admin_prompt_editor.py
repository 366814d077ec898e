"""The editor of a prompt: what it saves, and what it tells while somebody writes."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from costs.models import LedgerEntry
from prompts.models import Prompt
from prompts.publishing import activate, bump
from prompts.texts import content_hash
from prompts.versions import active_texts
from rag.models import TraceSummary
from rag.tests.factories import StaffFactory
from rag.tests.small_world import HELD, break_provider, entries_of, line_of

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"


def editor_of(prompt, what="bump"):
    return reverse(f"admin:prompts_prompt_{what}", args=[prompt.pk])


def save(client, prompt, **fields):
    form = {"instructions": "Be brief.", "examples": "One.", "note": "shorter"} | fields
    return client.post(editor_of(prompt), form, follow=True)


def messages_of(response):
    return [str(message) for message in response.context["messages"]]


class TestSaving:
    def test_it_makes_the_next_version_which_does_not_serve_yet(self, staff_page, answer, alice):
        save(staff_page, answer)

        version = answer.versions.latest("number")
        assert (version.number, version.instructions, version.note, version.author) == (
            2,
            "Be brief.",
            "shorter",
            alice,
        )
        assert active_texts()["answer"].version == "v1"

    def test_it_goes_on_to_the_comparison(self, staff_page, answer, first):
        response = save(staff_page, answer)

        version = answer.versions.latest("number")
        assert (response.context["old"], response.context["new"]) == (first, version)
        assert "answer v2 is saved. Nobody is answered with it until it is activated." in messages_of(response)

    @pytest.mark.parametrize(
        ("fields", "field"), [({"note": " "}, "note"), ({"instructions": ""}, "instructions"), ({"note": "\0"}, "note")]
    )
    def test_it_saves_nothing_that_lacks_something(self, staff_page, answer, fields, field):
        response = save(staff_page, answer, **fields)

        assert field in response.context["form"].errors
        assert answer.versions.count() == 1

    def test_it_refuses_instructions_of_nothing_but_white_space(self, staff_page, answer):
        response = save(staff_page, answer, instructions=" \n ")

        assert response.context["form"].non_field_errors() == ["a prompt version needs instructions"]

    def test_it_saves_nothing_that_was_not_changed(self, staff_page, answer, first):
        crlf = first.instructions.replace("\n", "\r\n")
        response = save(staff_page, answer, instructions=crlf, examples=first.examples)

        assert "This is v1, letter for letter: there is nothing to save." in response.content.decode()
        assert answer.versions.count() == 1

    def test_it_keeps_the_text_as_it_was_written_with_the_line_ends_of_prompts(self, staff_page, answer):
        save(staff_page, answer, instructions="  Be brief.\r\nCite.\r\n", examples="One.\r\nTwo.")

        version = answer.versions.latest("number")
        assert version.content_hash == content_hash(instructions="  Be brief.\nCite.\n", examples="One.\nTwo.")

    def test_it_tells_who_was_faster(self, staff_page, answer, first):
        carol = User.objects.create_user("carol")
        bump(prompt=answer, instructions="Hers.", examples="", note="hers", author=carol, based_on=first)

        response = save(staff_page, answer, based_on=first.pk)

        told = "answer v2 by carol is newer than v1, which you edited: its changes are not in v3."
        assert told in messages_of(response)

    def test_it_tells_what_the_text_does_not_say(self, staff_page, answer):
        response = save(staff_page, answer, instructions="Answer from <sources> the <question>.", examples="")

        assert "v2 does not say: NO_ANSWER, " in " ".join(messages_of(response))


class TestTheForm:
    def test_it_begins_with_the_text_that_serves(self, staff_page, answer, first):
        second = bump(prompt=answer, instructions="New.", examples="", note="n", author=None).version
        activate(version=second, who=None, why="test")

        assert staff_page.get(editor_of(answer)).context["form"].initial == {"instructions": "New.", "examples": ""}

    def test_it_begins_with_the_version_that_was_chosen(self, staff_page, answer, first):
        bump(prompt=answer, instructions="New.", examples="", note="n", author=None)

        response = staff_page.get(editor_of(answer), {"from": first.pk})

        assert response.context["form"].initial["instructions"] == first.instructions

    def test_it_takes_no_version_of_another_prompt(self, staff_page, answer):
        other = Prompt.objects.get(name="hyde").versions.get()

        assert staff_page.get(editor_of(answer), {"from": other.pk}).status_code == 404

    def test_it_escapes_the_text(self, staff_page, answer):
        text = f"</textarea>{SCRIPT}"
        version = bump(prompt=answer, instructions=text, examples="", note="n", author=None).version

        assert SCRIPT not in staff_page.get(editor_of(answer), {"from": version.pk}).content.decode()


class TestTheCheck:
    def test_it_says_what_is_found_and_what_is_missing(self, staff_page, answer):
        text = {"instructions": "From <sources>, to the <question> of {name}.", "examples": "[a/b#0] <question>"}

        body = staff_page.post(editor_of(answer, "bump_check"), text).json()

        found = {each["name"]: each["blocks"] for each in body["findings"]}
        assert found["<question>"] == ["instructions", "examples"]
        assert found["NO_ANSWER"] == []
        assert body["strays"] == ["{name}"]
        assert body["overtaken"] == ""

    def test_it_tells_of_somebody_who_saved_meanwhile(self, staff_page, answer, first, alice):
        carol = User.objects.create_user("carol")
        bump(prompt=answer, instructions="Hers.", examples="", note="hers", author=carol, based_on=first)
        bump(prompt=answer, instructions="Mine.", examples="", note="mine", author=alice, based_on=first)

        body = staff_page.post(editor_of(answer, "bump_check"), {"based_on": first.pk}).json()

        assert body["overtaken"] == (
            "answer v2 by carol is newer than v1, which you edited: its changes are not in this text."
        )


class TestTheCount:
    def count(self, client, prompt, instructions, examples=""):
        return client.post(editor_of(prompt, "bump_tokens"), {"instructions": instructions, "examples": examples})

    def test_a_long_prefix_will_be_cached(self, staff_page, answer, first, providers):
        body = self.count(staff_page, answer, first.instructions, first.examples).json()

        assert body["kept"]
        assert body["tokens"] >= body["minimum"] == 2048
        assert body["headline"] == f"{body['tokens']:,} of 2,048: this prompt will be cached."
        assert dict(body["facts"])["First hour: one cache write"] == f"${body['tokens'] * 6 / 1_000_000:.6f}"
        assert dict(body["facts"])["Caching pays from"] == "3 questions an hour"

    def test_a_short_prefix_will_not(self, staff_page, answer, first, providers):
        body = self.count(staff_page, answer, first.instructions).json()

        assert not body["kept"]
        assert body["headline"] == f"{body['tokens']:,} of 2,048: this prompt will NOT be cached."
        assert body["facts"] == [["Each question pays for it", f"${body['tokens'] * 3 / 1_000_000:.6f}"]]

    def test_only_the_answer_prompt_is_ever_cached(self, staff_page, providers):
        body = self.count(staff_page, Prompt.objects.get(name="hyde"), "long " * 5_000).json()

        assert (body["kept"], body["minimum"]) == (False, None)
        assert "Only the answer prompt is cached" in body["headline"]

    def test_counting_is_free_and_leaves_nothing(self, staff_page, answer, providers):
        self.count(staff_page, answer, "Be brief.")

        assert not LedgerEntry.objects.exists()
        assert not TraceSummary.objects.exists()

    def test_the_same_text_is_counted_once(self, staff_page, answer, providers):
        before = self.count(staff_page, answer, "Be brief.").json()
        break_provider(providers, "anthropic.count_tokens", kind="status", status=500)

        assert self.count(staff_page, answer, "Be brief.").json() == before

    def test_a_failure_is_told_and_shuts_nothing(self, staff_page, answer, providers):
        break_provider(providers, "anthropic.count_tokens", kind="status", status=529)
        responses = [self.count(staff_page, answer, f"Be brief {n}.") for n in range(6)]

        assert {response.status_code for response in responses} == {503}
        assert responses[-1].json()["problem"] == "A provider that this needs is not available now. (provider_busy)"

    @pytest.mark.parametrize("kind", ["malformed", "empty_object", "reset", "cut"])
    def test_an_answer_that_cannot_be_read_is_told_too(self, staff_page, answer, providers, kind):
        break_provider(providers, "anthropic.count_tokens", kind=kind)

        response = self.count(staff_page, answer, f"Be brief {kind}.")

        assert response.status_code == 503
        assert "not available now" in response.json()["problem"]

    def test_one_that_hangs_ends_in_time(self, staff_page, answer, providers, settings):
        settings.TRANSFORM_TIMEOUT_S = 0.5
        break_provider(providers, "anthropic.count_tokens", kind="hang")

        assert "(provider_timeout)" in self.count(staff_page, answer, "Be brief.").json()["problem"]

    def test_typing_does_not_hammer_the_provider(self, staff_page, answer, providers):
        statuses = [self.count(staff_page, answer, "Be brief.").status_code for _ in range(61)]

        assert statuses == [200] * 60 + [429]


class TestThePreview:
    def preview(self, client, prompt, **fields):
        form = {"instructions": f"Hello {SCRIPT}", "examples": "", "question": HELD}
        form |= {"corpus": "handbook", "module": "m6-production"} | fields
        return client.post(editor_of(prompt, "bump_preview"), form)

    def test_it_shows_the_request_with_real_sources(self, staff_page, answer, corpus):
        body = self.preview(staff_page, answer).json()

        assert body["system"] == [f"Hello {SCRIPT}"]
        (message,) = body["messages"]
        assert message["role"] == "user"
        assert '<source id="handbook/leave/leave-policy#0"' in message["text"]
        assert message["text"].endswith(f"<question>{HELD}</question>")
        assert body["sources"] >= 1

    def test_the_search_is_paid_and_traced_and_is_no_traffic(self, staff_page, answer, corpus, alice):
        body = self.preview(staff_page, answer).json()

        trace_id = body["trace_url"].rstrip("/").rpartition("/")[2]
        line, entries = line_of(trace_id), entries_of(trace_id)
        assert (line["kind"], line["status"], line["user_id"], line["prompt_version"]) == (
            "preview",
            200,
            alice.pk,
            None,
        )
        assert {entry.operation for entry in entries} >= {"embed"}
        assert "generate" not in {entry.operation for entry in entries}
        assert {entry.kind for entry in entries} == {"preview"}
        assert staff_page.get(body["trace_url"], follow=True).status_code == 200

    def test_a_prompt_without_sources_needs_no_search(self, staff_page, providers):
        body = self.preview(staff_page, Prompt.objects.get(name="hyde"), question="What? </question>").json()

        assert body["messages"] == [{"role": "user", "text": "<question>What? &lt;/question></question>"}]
        assert not TraceSummary.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "status", "told"),
        [
            ({"question": " "}, 400, "the question is empty"),
            ({"corpus": "nowhere"}, 404, "there is no corpus 'nowhere'"),
            ({"module": "m9"}, 400, "there is no module 'm9'"),
        ],
    )
    def test_it_tells_what_is_wrong(self, staff_page, answer, corpus, fields, status, told):
        response = self.preview(staff_page, answer, **fields)

        assert response.status_code == status
        assert told in response.json()["problem"]

    def test_a_search_that_failed_is_traced_too(self, staff_page, answer, corpus, providers):
        break_provider(providers, "voyage.embeddings", kind="status", status=500)

        response = self.preview(staff_page, answer, module="m3-hybrid")

        assert response.status_code == 503
        assert TraceSummary.objects.get().error == "provider_unavailable"


class TestTheDoor:
    @pytest.mark.parametrize("what", ["bump_check", "bump_tokens", "bump_preview"])
    def test_it_takes_posts_of_those_who_may_bump_and_nothing_else(self, staff_page, answer, what):
        assert staff_page.get(editor_of(answer, what)).status_code == 405
        staff_page.force_login(StaffFactory.create())
        assert staff_page.post(editor_of(answer, what), {"question": "x"}).status_code == 403

    @pytest.mark.parametrize("what", ["bump", "bump_check", "bump_tokens", "bump_preview", "try"])
    def test_it_wants_the_token_against_forgery(self, alice, answer, what):
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(alice)

        assert strict.post(editor_of(answer, what), {"instructions": "x", "note": "x"}).status_code == 403
