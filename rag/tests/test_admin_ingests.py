"""The pages of ingest jobs."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from rag.admin.ingests import safe_name
from rag.ingest_jobs import upload_folder
from rag.models import IngestJob
from rag.tests.factories import IngestJobFactory, StaffFactory

ADD = "/admin/rag/ingestjob/add/"


@pytest.fixture
def staff_page(client, alice, settings, tmp_path):
    settings.INGEST_ROOT = tmp_path / "root"
    settings.UPLOAD_DIR = tmp_path / "uploads"
    settings.INGEST_ROOT.mkdir()
    client.force_login(alice)
    return client


def upload(name, content=b"# Leave\n\nIt lapses."):
    return SimpleUploadedFile(name, content)


def ask_for(client, **fields):
    return client.post(ADD, {"corpus_slug": "handbook", "chunkers": ["fixed", "structural"]} | fields)


def test_it_queues_uploaded_files(staff_page, alice, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        ask_for(staff_page, uploads=[upload("leave.md"), upload("travel.rst")])

    job = IngestJob.objects.get()
    assert (job.state, job.asked_by, job.chunkers, job.path) == ("queued", alice, "fixed,structural", "")
    assert {file.name for file in upload_folder(job.pk).iterdir()} == {"leave.md", "travel.rst"}
    assert len(callbacks) == 1


def test_it_queues_nothing_when_the_form_is_refused(staff_page, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        ask_for(staff_page)

    assert callbacks == []
    assert not IngestJob.objects.exists()


def test_it_finds_nothing_of_an_earlier_job_in_the_folder(staff_page):
    first = IngestJobFactory.create()
    left_over = upload_folder(first.pk + 1) / "secret.md"
    left_over.parent.mkdir(parents=True)
    left_over.write_text("left over", "utf-8")

    ask_for(staff_page, uploads=[upload("leave.md")])

    assert [file.name for file in upload_folder(IngestJob.objects.latest("pk").pk).iterdir()] == ["leave.md"]


def test_it_takes_a_path_below_the_root(staff_page, settings):
    (settings.INGEST_ROOT / "docs").mkdir()

    ask_for(staff_page, path="docs", add="on")

    job = IngestJob.objects.get()
    assert (job.path, job.add) == (str((settings.INGEST_ROOT / "docs").resolve()), True)


@pytest.mark.parametrize("path", ["../uploads", "/etc", "link/passwd"])
def test_it_refuses_a_path_outside_the_root(staff_page, settings, path):
    (settings.INGEST_ROOT / "link").symlink_to("/etc")

    response = ask_for(staff_page, path=path)

    assert "outside" in response.content.decode()
    assert not IngestJob.objects.exists()


def test_it_refuses_a_path_that_is_not_there(staff_page):
    assert "There is no" in ask_for(staff_page, path="nowhere").content.decode()


def test_it_wants_files_or_a_path_but_not_both(staff_page, settings):
    (settings.INGEST_ROOT / "docs").mkdir()

    both = ask_for(staff_page, path="docs", uploads=[upload("leave.md")]).content.decode()
    neither = ask_for(staff_page).content.decode()

    assert "Give either files or a path" in both
    assert "Give either files or a path" in neither


@pytest.mark.parametrize("name", ["run.exe", "page.md.zip", "README"])
def test_it_refuses_a_format_that_is_not_read(staff_page, name):
    assert "Not a format that is read" in ask_for(staff_page, uploads=[upload(name)]).content.decode()


def test_it_refuses_more_than_the_limit_together(staff_page, settings):
    settings.INGEST_MAX_UPLOAD_MB = 1
    half = b"x" * 600_000

    response = ask_for(staff_page, uploads=[upload("a.md", half), upload("b.md", half)])

    assert "at most 1 MiB" in response.content.decode()


def test_it_refuses_two_files_of_one_name(staff_page):
    response = ask_for(staff_page, uploads=[upload("a b.md"), upload("a_b.md")])

    assert "More than one file is called a_b.md" in response.content.decode()


@pytest.mark.parametrize("slug", ["", "Not a slug", "../up"])
def test_it_refuses_a_bad_corpus_name(staff_page, slug):
    ask_for(staff_page, corpus_slug=slug, uploads=[upload("leave.md")])

    assert not IngestJob.objects.exists()


@given(st.text(min_size=1, max_size=300))
def test_a_safe_name_stays_in_its_folder_and_fits_every_file_system(name):
    safe = safe_name(name)

    assert Path(safe).name == safe
    assert not safe.startswith(".")
    assert len(safe.encode()) <= 255


def test_it_follows_a_job_until_it_ends(staff_page):
    running = IngestJobFactory.create(state=IngestJob.State.RUNNING, progress="embedding: 3 of 9")
    failed = IngestJobFactory.create(state=IngestJob.State.FAILED, finished_at=running.created_at, error="disk full")

    at_work = staff_page.get(reverse("admin:rag_ingestjob_change", args=[running.pk])).content.decode()
    ended = staff_page.get(reverse("admin:rag_ingestjob_change", args=[failed.pk])).content.decode()

    assert 'http-equiv="refresh"' in at_work
    assert "embedding: 3 of 9" in at_work
    assert 'http-equiv="refresh"' not in ended
    assert "disk full" in ended


def test_it_names_the_bad_files(staff_page):
    job = IngestJobFactory.create(bad_files=[{"source": "a.pdf", "reason": "is damaged"}])

    text = staff_page.get(reverse("admin:rag_ingestjob_change", args=[job.pk])).content.decode()

    assert "<code>a.pdf</code> is damaged" in text


@pytest.mark.django_db
def test_it_lets_nobody_ingest_without_the_permission(client):
    client.force_login(StaffFactory.create())

    assert client.get(ADD).status_code == 403
