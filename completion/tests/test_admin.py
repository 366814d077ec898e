"""The admin: a button for those who may, refusals in words, nothing to change."""

import dataclasses
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from completion.models import Artifact, Revocation
from completion.tests.conftest import Repository
from evals import scoreboard
from evals.scoreboard import Scoreboard

pytestmark = pytest.mark.django_db
ISSUE = "/admin/completion/artifact/issue/"


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("carol", password="carol", is_staff=True)
    names = [each.split(".")[1] for each in permissions]
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="completion", codename__in=names))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ready(board: Scoreboard, repository: Repository, settings: Settings) -> Repository:
    settings.PUBLIC_URL = "https://rag.example.com"
    settings.ARTIFACT_REPO_ROOT = repository.path.parent
    return repository


def test_who_may_issues_with_a_button(ready: Repository) -> None:
    client = staff("completion.issue", "completion.view_artifact")

    assert ISSUE in client.get("/admin/completion/artifact/").content.decode()
    response = client.post(ISSUE, {"name": "Ada", "repository": ready.path.name})

    made = Artifact.objects.get()
    assert response.headers["Location"] == f"/admin/completion/artifact/{made.pk}/change/"
    assert made.issued_by == User.objects.get(username="carol")


def test_without_the_permission_there_is_none(ready: Repository) -> None:
    client = staff("completion.view_artifact")

    assert ISSUE not in client.get("/admin/completion/artifact/").content.decode()
    assert client.post(ISSUE, {"name": "Ada", "repository": ready.path.name}).status_code == 403
    assert not Artifact.objects.exists()


def test_while_the_gate_fails_its_lines_are_told(ready: Repository, board: Scoreboard) -> None:
    first, *others = board.gate.lines
    failing = dataclasses.replace(first, passed=False, measured="0.1 <too> low")
    scoreboard.keep(
        dataclasses.replace(board, gate=dataclasses.replace(board.gate, passed=False, lines=(failing, *others)))
    )

    text = staff("completion.issue").post(ISSUE, {"name": "Ada", "repository": ready.path.name}).content.decode()

    assert "The ship gate does not pass" in text
    assert "0.1 &lt;too&gt; low" in text
    assert not Artifact.objects.exists()


@pytest.mark.parametrize("path", ["/etc", "..", "../other", "link"])
def test_repositories_elsewhere_are_refused(path: str, ready: Repository, tmp_path: Path, settings: Settings) -> None:
    settings.ARTIFACT_REPO_ROOT = ready.path
    (ready.path / "link").symlink_to(tmp_path)

    text = staff("completion.issue").post(ISSUE, {"name": "Ada", "repository": path}).content.decode()

    assert "ARTIFACT_REPO_ROOT" in text
    assert not Artifact.objects.exists()


def test_nothing_can_be_changed_added_or_deleted(artifact: Artifact, alice: User) -> None:
    client = Client()
    client.force_login(alice)
    page = f"/admin/completion/artifact/{artifact.pk}"

    assert client.get(f"{page}/change/").status_code == 200
    assert client.post(f"{page}/change/", {"name": "Mallory"}).status_code == 403
    assert client.post(f"{page}/delete/").status_code == 403
    assert client.get("/admin/completion/artifact/add/").status_code == 403


def test_the_pdf_and_the_markdown_are_there_for_those_who_may_look(artifact: Artifact) -> None:
    client, page = staff("completion.view_artifact"), f"/admin/completion/artifact/{artifact.pk}"

    assert client.get(f"{page}/pdf/").content == bytes(artifact.pdf)
    assert client.get(f"{page}/markdown/").content.startswith(b"# Completion artifact")
    User.objects.get(username="carol").user_permissions.clear()
    assert client.get(f"{page}/pdf/").status_code == 403


def test_revoking_asks_for_a_reason_and_is_a_permission_of_its_own(artifact: Artifact) -> None:
    client, page = staff("completion.issue", "completion.view_artifact"), f"/admin/completion/artifact/{artifact.pk}"
    assert client.post(f"{page}/revoke/", {"why": "wrong person"}).status_code == 403

    User.objects.get(username="carol").user_permissions.add(Permission.objects.get(codename="revoke"))
    client.post(f"{page}/revoke/", {"why": "wrong person"})

    assert Revocation.objects.get().reason == "wrong person"
    assert "revoked before" in client.post(f"{page}/revoke/", {"why": "again"}).content.decode()
