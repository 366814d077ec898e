"""The pages of outages and of the providers."""

import os
from datetime import timedelta

import pytest
from django.urls import reverse

from costs.ledger import Booking, book
from rag import clock, provider_stack
from rag.models import Outage
from rag.provider_health import provider_health
from rag.providers.breaker import Outcome
from rag.summaries import attempt_of
from rag.tests.factories import OutageFactory, StaffFactory, TraceSummaryFactory
from rag.tests.small_world import asked, break_provider
from rag.tests.trace_lines import attempt_line

LIST = reverse("admin:rag_outage_changelist")
PROVIDERS = "/admin/rag/outage/providers/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def staff_page(client, alice):
    client.force_login(alice)
    return client


def text_of(response):
    """What a reader sees, without the white space of the template."""
    return " ".join(response.content.decode().split())


def open_breaker(vendor):
    breaker = provider_stack.breaker(vendor)
    for _ in range(5):
        breaker.report(breaker.admit(), Outcome.FAILED)


def booked(trace_id, *attempts):
    booking = Booking(trace_id=trace_id, kind="ask", module="", corpus="", prompt_version="", api_key_id=None)
    book(attempts=[attempt_of(entry | {"price_id": None}) for entry in attempts], booking=booking)


class TestTheList:
    def test_it_shows_when_an_outage_began_and_ended(self, staff_page):
        trace = TraceSummaryFactory.create()
        outage = OutageFactory.create(first_trace_id=trace.trace_id)

        text = text_of(staff_page.get(LIST))

        for told in (f"{outage.started_at:%Y-%m-%d}", "1 min 13 s", "ended", "provider_busy"):
            assert told in text
        assert reverse("admin:rag_tracesummary_by_trace", args=[trace.trace_id]) in text

    def test_it_shows_for_how_long_an_open_one_lasts(self, staff_page):
        OutageFactory.create(ended_at=None, started_at=clock.now() - timedelta(hours=3, minutes=20, seconds=30))

        assert "3 h 20 min so far" in text_of(staff_page.get(LIST))

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [({"state": "open"}, {"voyage"}), ({"state": "ended"}, {"cohere"}), ({"provider": "cohere"}, {"cohere"})],
    )
    def test_it_is_filtered(self, staff_page, wanted, found):
        OutageFactory.create(provider="voyage", ended_at=None)
        OutageFactory.create(provider="cohere")

        response = staff_page.get(LIST, wanted)

        assert {outage.provider for outage in response.context["cl"].result_list} == found

    def test_it_leads_to_the_providers(self, staff_page):
        assert PROVIDERS in text_of(staff_page.get(LIST))


def test_an_outage_cannot_be_added_changed_or_deleted(staff_page):
    outage = OutageFactory.create()
    change = reverse("admin:rag_outage_change", args=[outage.pk])

    assert "last failure" in text_of(staff_page.get(change)).lower()
    assert staff_page.get(reverse("admin:rag_outage_add")).status_code == 403
    assert staff_page.post(change, {"failures": 0}).status_code == 403
    assert staff_page.post(reverse("admin:rag_outage_delete", args=[outage.pk])).status_code == 403
    assert Outage.objects.get().failures == 4


class TestTheProviders:
    def test_every_one_is_shown_with_its_mode_and_host(self, staff_page, settings):
        settings.PROVIDERS = settings.PROVIDERS | {
            "cohere": {"mode": "live", "base_url": "https://me:secret@api.cohere.com/v2", "api_key": "k"}
        }

        text = text_of(staff_page.get(PROVIDERS))

        for told in ("anthropic", "voyage", "openai", "cohere", "chroma", "simulated", "<code>api.cohere.com</code>"):
            assert told in text
        assert "secret" not in text

    def test_the_page_says_whose_breakers_it_shows(self, staff_page):
        open_breaker("voyage")

        text = text_of(staff_page.get(PROVIDERS))

        assert f"those of web process {os.getpid()}" in text
        assert '<span class="badge badge-bad">open</span> for 0 s, next probe in' in text

    def test_chroma_has_no_breaker(self, staff_page):
        breakers = {each.name: each.breaker for each in provider_health(now=clock.now())}

        assert [name for name, breaker in breakers.items() if breaker is None] == ["chroma"]

    def test_the_open_outage_is_shown(self, staff_page):
        OutageFactory.create(provider="cohere")
        OutageFactory.create(provider="chroma", ended_at=None, reason="index_unavailable", failures=1)

        text = text_of(staff_page.get(PROVIDERS))

        assert "index_unavailable, met by 1 request." in text
        assert text.count("is-down") == 1

    def test_the_calls_of_the_last_hour_are_counted_by_outcome(self, staff_page):
        recent, old = clock.now() - timedelta(minutes=59), clock.now() - timedelta(minutes=61)
        busy = attempt_line(at=recent.isoformat(), outcome="provider_busy")
        booked("a", busy, busy, attempt_line(at=recent.isoformat()), attempt_line(at=old.isoformat()))

        calls = {each.name: each.calls for each in provider_health(now=clock.now())}

        assert calls["anthropic"] == (("provider_busy", 2), ("ok", 1))
        assert calls["voyage"] == ()

    def test_the_page_after_a_real_failure(self, staff_page, providers, corpus):
        break_provider(providers, "cohere.rerank", kind="status", status=500)
        asked(module="m6-production")

        text = text_of(staff_page.get(PROVIDERS))

        assert "provider_unavailable, met by 1 request." in text
        assert "2 failures in a row" in text

    def test_the_page_takes_the_same_queries_however_many_outages(self, staff_page, django_assert_max_num_queries):
        for provider in Outage.Provider.values:
            OutageFactory.create(provider=provider, ended_at=None)

        with django_assert_max_num_queries(5):
            staff_page.get(PROVIDERS)

    def test_the_page_wants_the_permission_to_view(self, client):
        client.force_login(StaffFactory.create())

        assert client.get(PROVIDERS).status_code == 403
