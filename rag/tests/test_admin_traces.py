"""The pages of traces."""

import json
from datetime import datetime

import pytest
from django.urls import reverse

from rag import summaries
from rag.models import TraceSummary
from rag.tests.factories import ChunkFactory, CorpusFactory, CorpusVersionFactory, StaffFactory, TraceSummaryFactory
from rag.tests.trace_lines import trace_line
from rag.trace_files import TraceFiles

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff_page(client, alice):
    client.force_login(alice)
    return client


def written(settings, **changes):
    """A trace with its line and its row."""
    line = trace_line(**changes)
    TraceFiles(settings.TRACE_DIR).append(line=line, at=datetime.fromisoformat(line["timestamp"]))
    summaries.save_rows(line | {"attempts": []})
    return TraceSummary.objects.get(trace_id=line["trace_id"])


def page_of(client, trace):
    return client.get(reverse("admin:rag_tracesummary_change", args=[trace.pk]))


def test_it_shows_the_whole_path(staff_page, settings):
    text = page_of(staff_page, written(settings)).content.decode()

    for told in ("It lapses on 31 March", 'href="#source-1"', "leave lapse date", "7.2000", "req_1", "simulated"):
        assert told in text


def test_it_escapes_the_question_and_the_ids(staff_page, settings):
    evil = "<script>alert(1)</script>"
    hits = [{"id": f"{evil}/top#0", "score": 1.0}]

    text = page_of(staff_page, written(settings, query=evil, vector_candidates=hits)).content.decode()

    assert evil not in text
    assert text.count("&lt;script&gt;alert(1)") >= 3


def test_it_shows_the_text_of_a_live_source(staff_page, settings):
    version = CorpusVersionFactory.create(corpus=CorpusFactory.create(slug="handbook"), number=1)
    ChunkFactory.create(chunk_set__version=version, key="leave/top#0", text="Leave lapses on 31 March.")

    response = page_of(staff_page, written(settings))

    first, second = response.context["page"].sources
    assert (first.state, first.text, second.state) == ("same", "Leave lapses on 31 March.", "gone")


def test_it_links_the_prompt_and_the_corpus_version(staff_page, settings):
    version = CorpusVersionFactory.create(corpus=CorpusFactory.create(slug="handbook"), number=1)

    text = page_of(staff_page, written(settings)).content.decode()

    assert reverse("admin:rag_corpusversion_change", args=[version.pk]) in text
    assert "/admin/prompts/promptversion/" in text


def test_it_holds_the_raw_line(staff_page, settings):
    response = page_of(staff_page, written(settings))

    assert json.loads(response.context["raw"]) == trace_line()


def test_it_says_when_the_line_is_missing(staff_page):
    trace = TraceSummaryFactory.create(query="Where is it?")

    text = page_of(staff_page, trace).content.decode()

    assert "The line is missing" in text
    assert "Where is it?" in text


def test_it_leads_to_the_neighbours_in_time(staff_page):
    first, middle, last = TraceSummaryFactory.create_batch(3)

    context = page_of(staff_page, middle).context

    assert (context["earlier"], context["later"]) == (first.pk, last.pk)


def test_it_finds_a_trace_by_the_id_that_the_api_gave(staff_page):
    trace = TraceSummaryFactory.create()

    response = staff_page.get(reverse("admin:rag_tracesummary_by_trace", args=[trace.trace_id]))

    assert response.url == reverse("admin:rag_tracesummary_change", args=[trace.pk])


@pytest.mark.parametrize(
    "address", ["/admin/rag/tracesummary/by-trace/nothing/", "/admin/rag/tracesummary/999/change/"]
)
def test_it_answers_404_for_an_unknown_trace(staff_page, address):
    assert staff_page.get(address).status_code == 404


def test_it_wants_the_permission_to_view(client):
    client.force_login(StaffFactory.create())

    assert page_of(client, TraceSummaryFactory.create()).status_code == 403


def test_it_cannot_be_changed_or_deleted(staff_page):
    trace = TraceSummaryFactory.create()

    assert staff_page.get(reverse("admin:rag_tracesummary_add")).status_code == 403
    assert staff_page.post(reverse("admin:rag_tracesummary_delete", args=[trace.pk])).status_code == 403


def test_the_list_finds_words_and_marks_simulated_money(staff_page):
    TraceSummaryFactory.create(query="How do backups run?")
    TraceSummaryFactory.create(query="Something else")

    text = staff_page.get(reverse("admin:rag_tracesummary_changelist"), {"q": "backups"}).content.decode()

    assert "How do backups run?" in text
    assert "Something else" not in text
    assert "badge-notice" in text


def test_the_list_takes_the_same_queries_however_many_traces(staff_page, django_assert_max_num_queries):
    TraceSummaryFactory.create_batch(20)

    with django_assert_max_num_queries(6):
        staff_page.get(reverse("admin:rag_tracesummary_changelist"))
