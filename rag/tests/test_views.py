"""The ask page."""

import pytest
from django.urls import reverse

from rag.modules import MODULES, TRANSFORMS
from rag.tests.factories import CorpusFactory, CorpusVersionFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff_page(client, alice):
    client.force_login(alice)
    return client


def serving(slug):
    version = CorpusVersionFactory.create(corpus__slug=slug)
    version.corpus.active_version = version
    version.corpus.save()


def test_it_sends_strangers_to_the_login(client):
    response = client.get("/")

    assert response.url == f"{reverse('admin:login')}?next=/"


def test_it_sends_users_who_are_not_staff_to_the_login(client):
    client.force_login(UserFactory.create())

    assert client.get("/").url.startswith(reverse("admin:login"))


def test_it_offers_what_can_be_asked_for(staff_page):
    serving("handbook")
    CorpusFactory.create(slug="not-ready")

    text = staff_page.get("/").content.decode()

    for name in ("handbook", *MODULES, *TRANSFORMS):
        assert f">{name}</option>" in text
    assert "not-ready" not in text


def test_it_begins_with_the_default_corpus(staff_page, settings):
    settings.DEFAULT_CORPUS = "handbook"
    serving("aardvark")
    serving("handbook")

    assert "<option selected>handbook</option>" in staff_page.get("/").content.decode()


def test_it_says_so_when_no_corpus_serves(staff_page):
    text = staff_page.get("/").content.decode()

    assert "No corpus serves yet" in text


def test_it_allows_nothing_from_elsewhere_and_nothing_inline(staff_page):
    response = staff_page.get("/")

    policy, text = response.headers["Content-Security-Policy"], response.content.decode()
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "style=" not in text
    assert "<script>" not in text
    assert "//cdn" not in text
