"""The verification pages: public, cacheable, closed to everything else."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from completion import throttling, views
from completion.issuing import revoke
from completion.manifest import canonical
from completion.models import Artifact
from completion.tests.forging import FORGERIES

pytestmark = pytest.mark.django_db
NOBODYS = "0" * 64


def check(client: Client, pdf: bytes, accept: str = "application/json"):
    file = SimpleUploadedFile("artifact.pdf", pdf, content_type="application/pdf")
    return client.post("/verify/check", {"file": file}, headers={"Accept": accept})


def withdraw(artifact: Artifact) -> None:
    revoke(artifact=artifact, why="issued to the <b>wrong</b> person", who=None, now=timezone.now())


def test_a_valid_artifact_has_its_page(artifact: Artifact, client: Client) -> None:
    response = client.get(f"/verify/{artifact.sha256}")

    text = response.content.decode()
    assert response.status_code == 200
    for told in (
        "<h1>valid</h1>",
        "Ada Lovelace",
        artifact.number,
        artifact.sha256,
        "m6-production",
        "simulated providers",
    ):
        assert told in text


def test_a_revoked_artifact_says_so_and_why(artifact: Artifact, client: Client) -> None:
    withdraw(artifact)

    text = client.get(f"/verify/{artifact.sha256}").content.decode()

    assert "<h1>revoked</h1>" in text
    assert "issued to the &lt;b&gt;wrong&lt;/b&gt; person" in text
    assert client.get(f"/verify/{artifact.sha256}.md").status_code == 410


def test_an_unknown_hash_says_so(client: Client) -> None:
    response = client.get(f"/verify/{NOBODYS}")

    assert response.status_code == 404
    assert "<h1>unknown</h1>" in response.content.decode()
    assert client.get(f"/verify/{NOBODYS}.json").json()["status"] == "unknown"


def test_machines_get_the_manifest_as_it_was_signed(artifact: Artifact, client: Client) -> None:
    told = client.get(f"/verify/{artifact.sha256}.json").json()

    assert told["status"] == "valid"
    assert canonical(told["manifest"]).decode() == artifact.manifest
    withdraw(artifact)
    revoked = client.get(f"/verify/{artifact.sha256}.json").json()
    assert (revoked["status"], revoked["reason"]) == ("revoked", "issued to the <b>wrong</b> person")


def test_the_printed_address_leads_to_the_page(artifact: Artifact, client: Client) -> None:
    for number in (artifact.number, artifact.number.lower()):
        assert client.get(f"/verify/{number}").headers["Location"] == f"/verify/{artifact.sha256}"
    assert client.get("/verify/0000-0000-0000-0000").status_code == 404


@pytest.mark.parametrize("path", ["x", "../admin", "0" * 63, "G" * 64, f"{NOBODYS}.pdf", f"{NOBODYS}/x"])
def test_other_addresses_are_nothing(path: str, client: Client) -> None:
    assert client.get(f"/verify/{path}").status_code == 404


def pages(artifact: Artifact) -> list[str]:
    hashes = (artifact.sha256, NOBODYS)
    return [
        "",
        "certificate.pem",
        artifact.number,
        *(f"{each}{end}" for each in hashes for end in ("", ".json", ".md")),
    ]


def test_everything_is_cacheable_and_sets_no_cookie(artifact: Artifact, client: Client) -> None:
    for page in pages(artifact):
        response = client.get(f"/verify/{page}")

        assert re.fullmatch(r"public, max-age=\d+", response.headers["Cache-Control"]), page
        assert "Cookie" not in response.headers.get("Vary", ""), page
        assert not response.cookies, page


def test_nothing_inline_and_nothing_from_elsewhere(artifact: Artifact, client: Client) -> None:
    for page in pages(artifact):
        response = client.get(f"/verify/{page}")

        assert response.headers["Content-Security-Policy"] == views.POLICY
    assert "unsafe" not in views.POLICY
    assert views.POLICY.startswith("default-src 'none'")
    text = client.get(f"/verify/{artifact.sha256}").content.decode()
    assert not re.search(r"<script(?! src)|<style|\sstyle=|\son\w+=", text)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text)


def test_nothing_about_questions_or_traces_leaks(artifact: Artifact, client: Client) -> None:
    for page in pages(artifact):
        text = client.get(f"/verify/{page}", follow=True).content.decode()

        assert "nobody outside may see" not in text
        assert "trace-of-" not in text


def test_the_certificate_is_published_and_verifies(artifact: Artifact, client: Client, tmp_path: Path) -> None:
    response = client.get("/verify/certificate.pem")

    assert response.headers["Content-Type"] == "application/x-pem-file"
    (tmp_path / "certificate.pem").write_bytes(response.content)
    (tmp_path / "artifact.pdf").write_bytes(bytes(artifact.pdf))
    out = StringIO()
    call_command("verify_artifact", tmp_path / "artifact.pdf", certificate=tmp_path / "certificate.pem", stdout=out)
    assert out.getvalue().startswith("valid: ")


def test_before_the_first_artifact_there_is_no_certificate(client: Client) -> None:
    assert client.get("/verify/certificate.pem").status_code == 404
    assert check(client, b"%PDF-").status_code == 404


def test_an_upload_gets_the_whole_check(artifact: Artifact, client: Client) -> None:
    told = check(client, bytes(artifact.pdf)).json()

    assert (told["verdict"], told["status"], told["number"]) == ("valid", "valid", artifact.number)
    withdraw(artifact)
    assert check(client, bytes(artifact.pdf)).json()["verdict"] == "revoked"


@pytest.mark.parametrize(
    "name", ["one byte changed", "half of it cut off", "a revision appended", "signed again by another key", "a text"]
)
def test_an_upload_of_a_forgery_gets_its_answer(name: str, artifact: Artifact, client: Client) -> None:
    forge, verdict = FORGERIES[name]

    told = check(client, forge(bytes(artifact.pdf))).json()

    assert (told["verdict"], told["status"], told["number"]) == (verdict, "unknown", None)


def test_another_document_of_its_author_is_not_ours(artifact: Artifact, client: Client) -> None:
    forge, _ = FORGERIES["another document, signed by its author"]

    assert check(client, forge(b"")).json()["verdict"] == "not_ours"


def test_what_our_key_signed_but_is_not_on_record_is_told(
    issue_one: Callable[..., Artifact], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody had the key, or a backup was put back."""
    monkeypatch.setattr("completion.issuing.Artifact.objects.create", Artifact)
    unlisted = issue_one()

    assert check(client, bytes(unlisted.pdf)).json()["verdict"] == "unlisted"


def test_without_scripts_the_form_answers_with_a_page(artifact: Artifact, client: Client) -> None:
    good = check(client, bytes(artifact.pdf), accept="text/html")
    bad = check(client, bytes(artifact.pdf)[:-10], accept="text/html")

    assert "<h1>valid</h1>" in good.content.decode()
    assert "<h1>truncated</h1>" in bad.content.decode()
    assert good.headers["Cache-Control"] == "no-store"


def test_the_upload_needs_no_token_and_a_get_is_refused(artifact: Artifact) -> None:
    strict = Client(enforce_csrf_checks=True)

    assert check(strict, bytes(artifact.pdf)).status_code == 200
    assert strict.get("/verify/check").status_code == 405


def test_no_file_and_large_files_are_refused(artifact: Artifact, client: Client) -> None:
    assert client.post("/verify/check", {}, headers={"Accept": "application/json"}).status_code == 400
    assert check(client, b"").status_code == 400
    assert check(client, b"%PDF-" + bytes(views.MAX_UPLOAD)).status_code == 413


def test_only_so_many_files_are_checked_at_once(artifact: Artifact, client: Client) -> None:
    places = threading.BoundedSemaphore(1)
    places.acquire()
    throttling._places, kept = places, throttling._places
    try:
        response = check(client, bytes(artifact.pdf))
    finally:
        throttling._places = kept

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


def test_looking_and_uploading_have_their_rates(artifact: Artifact, client: Client, settings: Settings) -> None:
    settings.VERIFY_RATE, settings.VERIFY_UPLOAD_RATE = "2/min", "1/min"

    looks = [client.get(f"/verify/{NOBODYS}") for _ in range(3)]
    checks = [check(client, b"x") for _ in range(2)]
    another = client.get(f"/verify/{NOBODYS}", REMOTE_ADDR="192.0.2.7")

    assert [each.status_code for each in looks] == [404, 404, 429]
    assert int(looks[-1].headers["Retry-After"]) > 0
    assert [each.status_code for each in checks] == [200, 429]
    assert another.status_code == 404


def test_neighbours_in_an_ipv6_network_share_a_rate() -> None:
    assert throttling.network_of("2001:db8::1") == throttling.network_of("2001:db8::ffff")
    assert throttling.network_of("192.0.2.1") != throttling.network_of("192.0.2.2")


def test_the_commands_issue_verify_and_revoke(board, repository, tmp_path: Path, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://rag.example.com"
    out = StringIO()
    call_command("issue_artifact", name="Ada", repo=repository.path, out=tmp_path, stdout=out)
    (pdf,), (markdown,) = tmp_path.glob("*.pdf"), tmp_path.glob("*.md")
    assert str(pdf) in out.getvalue()
    assert markdown.read_text().startswith("# Completion artifact: Ada")

    told = StringIO()
    call_command("verify_artifact", pdf, json=True, stdout=told)
    assert json.loads(told.getvalue())["verdict"] == "valid"

    call_command("revoke_artifact", pdf.stem, why="wrong person", stdout=out)
    with pytest.raises(SystemExit):
        call_command("verify_artifact", pdf, stdout=(told := StringIO()))
    assert told.getvalue().startswith("revoked: ")
    with pytest.raises(CommandError, match="revoked before"):
        call_command("revoke_artifact", pdf.stem, why="again")


def test_the_command_tells_the_lines_that_fail(board, repository, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = tuple(replace(line, passed=line.name != "proxy", why="nobody there") for line in board.gate.lines)
    spoilt = replace(board, gate=replace(board.gate, passed=False, lines=lines))
    monkeypatch.setattr("completion.management.commands.issue_artifact.scoreboard.load", lambda: spoilt)

    with pytest.raises(CommandError, match=r"(?s)does not pass.*\n  proxy: .*nobody there"):
        call_command("issue_artifact", name="Ada", repo=repository.path)
