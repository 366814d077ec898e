"""What is too large is refused before it is stored, and what is uploaded is not looked into by the web process."""

import sys
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from rag import ingest_jobs
from rag.models import IngestJob
from ragsite.bodies import FORM

pytestmark = pytest.mark.django_db
ADD = "/admin/rag/ingestjob/add/"


def upload(client: Client, address: str, size: int, name: str = "a.txt") -> int:
    file = SimpleUploadedFile(name, b"x" * size)
    return client.post(address, {"corpus_slug": "handbook", "uploads": file, "chunkers": ["fixed"]}).status_code


@pytest.mark.parametrize("address", ["/admin/login/", ADD, "/", "/nothing-here", "/api/ask"])
def test_a_stranger_stores_nothing_large(client: Client, address: str) -> None:
    assert upload(client, address, FORM) == 413


def test_nor_does_staff_who_may_not_ingest(client: Client) -> None:
    client.force_login(User.objects.create_user("new", is_staff=True))

    assert upload(client, ADD, FORM) == 413


def test_who_may_ingest_uploads_up_to_the_limit(client: Client, alice: User, settings: LazySettings) -> None:
    settings.INGEST_MAX_UPLOAD_MB = 4
    client.force_login(alice)

    assert upload(client, ADD, 4 * 1_048_576 - 1) == 302
    assert upload(client, ADD, 6 * 1_048_576) == 413
    assert upload(client, "/admin/rag/apikey/add/", FORM) == 413


def test_a_length_that_is_no_number_is_none(client: Client) -> None:
    body = encode_multipart(BOUNDARY, {"username": "x"})

    response = client.generic("POST", "/admin/login/", body, MULTIPART_CONTENT, CONTENT_LENGTH="-1")

    assert response.status_code in (200, 400, 403)


BOMB = b"%PDF-1.7\n1 0 obj<</Length 99999999>>stream\n" + b"\x00" * 1_000


def test_an_upload_is_kept_as_it_is_for_the_worker(client: Client, alice: User) -> None:
    """No reader is so much as imported: the file is stored, and its job waits."""
    client.force_login(alice)
    readers = [name for name in sys.modules if name.startswith("rag.reading.from_")]
    for name in readers:
        del sys.modules[name]

    file = SimpleUploadedFile("../../etc/passwd.pdf", BOMB)
    client.post(ADD, {"corpus_slug": "handbook", "uploads": file, "chunkers": ["fixed"]})

    job = IngestJob.objects.get()
    (stored,) = Path(ingest_jobs.upload_folder(job.pk)).iterdir()
    assert (stored.name, stored.read_bytes()) == ("passwd.pdf", BOMB)
    assert (job.state, job.bad_files) == ("queued", [])
    assert [name for name in sys.modules if name.startswith("rag.reading.from_")] == []
