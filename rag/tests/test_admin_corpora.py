"""The pages of corpora, versions and documents."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from rag.models import CorpusActivation, CorpusVersion
from rag.tests.factories import (
    ChunkFactory,
    ChunkSetFactory,
    CorpusFactory,
    CorpusVersionFactory,
    DocumentFactory,
    StaffFactory,
    VectorIndexFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff_page(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def handbook():
    """A corpus whose version 2 serves, with a ready version 1."""
    corpus = CorpusFactory.create(slug="handbook")
    CorpusVersionFactory.create(corpus=corpus, number=1)
    corpus.active_version = CorpusVersionFactory.create(corpus=corpus, number=2)
    corpus.save()
    return corpus


def viewer(*codenames):
    user = StaffFactory.create()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def test_it_rolls_back_with_a_reason(staff_page, handbook, alice):
    staff_page.post(f"/admin/rag/corpus/{handbook.pk}/roll_back/", {"why": "wrong folder"})

    handbook.refresh_from_db()
    line = CorpusActivation.objects.get()
    assert handbook.active_version.number == 1
    assert (line.who, line.why) == (alice, "wrong folder")


def test_it_does_not_roll_back_without_a_reason(staff_page, handbook):
    response = staff_page.post(f"/admin/rag/corpus/{handbook.pk}/roll_back/", {"why": " "})

    handbook.refresh_from_db()
    assert handbook.active_version.number == 2
    assert "This field is required" in response.content.decode()


def test_it_does_not_roll_back_on_a_mere_visit(staff_page, handbook):
    assert staff_page.get(f"/admin/rag/corpus/{handbook.pk}/roll_back/").status_code == 200

    handbook.refresh_from_db()
    assert handbook.active_version.number == 2


def test_it_says_why_it_cannot_roll_back(staff_page, handbook):
    handbook.versions.filter(number=1).update(state=CorpusVersion.State.FAILED)

    response = staff_page.post(f"/admin/rag/corpus/{handbook.pk}/roll_back/", {"why": "wrong folder"})

    assert "no earlier version" in response.content.decode()


def test_it_activates_a_ready_version(staff_page, handbook):
    version = CorpusVersionFactory.create(corpus=handbook, number=3)

    staff_page.post(f"/admin/rag/corpusversion/{version.pk}/activate/", {"why": "checked"})

    handbook.refresh_from_db()
    assert handbook.active_version == version


def test_it_refuses_to_activate_a_failed_version(staff_page, handbook):
    version = CorpusVersionFactory.create(corpus=handbook, number=3, state=CorpusVersion.State.FAILED)

    response = staff_page.post(f"/admin/rag/corpusversion/{version.pk}/activate/", {"why": "checked"})

    assert "only a ready version can serve" in response.content.decode()


def test_it_lets_nobody_switch_versions_who_may_only_look(client, handbook):
    client.force_login(viewer("view_corpus", "view_corpusversion"))
    first = handbook.versions.get(number=1)

    assert client.get(reverse("admin:rag_corpus_change", args=[handbook.pk])).status_code == 200
    assert client.post(f"/admin/rag/corpus/{handbook.pk}/roll_back/", {"why": "x"}).status_code == 403
    assert client.post(f"/admin/rag/corpusversion/{first.pk}/activate/", {"why": "x"}).status_code == 403


def test_it_lists_the_versions_of_a_corpus(staff_page, handbook):
    ChunkSetFactory.create(version=handbook.active_version, count=1234)

    text = staff_page.get(reverse("admin:rag_corpus_change", args=[handbook.pk])).content.decode()

    assert "structural 1,234" in text
    assert text.count("badge-good") == 3


def test_it_shows_indexes_and_bad_files_of_a_version(staff_page):
    bad = [{"source": "<b>broken.pdf</b>", "reason": "is damaged"}]
    version = CorpusVersionFactory.create(bad_files=bad)
    VectorIndexFactory.create(chunk_set__version=version, collection="handbook-v1-voyage")

    text = staff_page.get(reverse("admin:rag_corpusversion_change", args=[version.pk])).content.decode()

    assert "handbook-v1-voyage" in text
    assert "&lt;b&gt;broken.pdf&lt;/b&gt;</code> is damaged" in text


def test_documents_of_old_versions_are_left_out_unless_asked_for(staff_page, handbook):
    DocumentFactory.create(version=handbook.active_version, source="serving/page")
    DocumentFactory.create(version=handbook.versions.get(number=1), source="old/page")
    address = reverse("admin:rag_document_changelist")

    usual = staff_page.get(address).content.decode()
    everything = staff_page.get(address, {"serving": "all"}).content.decode()

    assert "serving/page" in usual
    assert "old/page" not in usual
    assert "old/page" in everything


def test_it_shows_a_document_with_its_chunks(staff_page):
    chunk = ChunkFactory.create(document__text="<i>Leave</i> lapses on 31 March.")

    text = staff_page.get(reverse("admin:rag_document_change", args=[chunk.document.pk])).content.decode()

    assert "&lt;i&gt;Leave&lt;/i&gt; lapses" in text
    assert chunk.key in text


@pytest.mark.parametrize("name", ["corpus", "corpusversion", "document"])
def test_nothing_is_added_by_hand(staff_page, name):
    assert staff_page.get(reverse(f"admin:rag_{name}_add")).status_code == 403


def test_no_corpus_is_deleted_here(staff_page, handbook):
    assert staff_page.post(reverse("admin:rag_corpus_delete", args=[handbook.pk])).status_code == 403
