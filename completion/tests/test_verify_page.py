"""The verification page as a visitor sees it: a real browser, a good file and bad ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from completion.issuing import revoke
from completion.models import Artifact
from completion.tests.forging import FORGERIES
from ragsite.tests.browser import watched_page

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def good(artifact: Artifact, tmp_path: Path) -> Path:
    file = tmp_path / "good.pdf"
    file.write_bytes(bytes(artifact.pdf))
    return file


@pytest.fixture
def forged(artifact: Artifact, tmp_path: Path) -> dict[str, Path]:
    files = {}
    for name in ("one byte changed", "signed again by another key", "a revision appended"):
        forge, verdict = FORGERIES[name]
        files[verdict] = tmp_path / f"{verdict}.pdf"
        files[verdict].write_bytes(forge(bytes(artifact.pdf)))
    return files


@pytest.fixture
def withdrawn(artifact: Artifact) -> Artifact:
    revoke(artifact=artifact, why="wrong person", who=None, now=timezone.now())
    return artifact


@pytest.fixture
def page(good: Path, forged: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """After the fixtures that issue and revoke, because of the event loop."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)  # the server's threads outlive the test
    with watched_page() as opened:
        yield opened


def answer(page: Any, beginning: str) -> str:
    page.wait_for_function(
        "beginning => document.getElementById('answer').textContent.toLowerCase().startsWith(beginning)", arg=beginning
    )
    return str(page.text_content("#answer"))


def test_a_visitor_checks_files_by_hash_and_by_upload(
    page: Any, good: Path, forged: dict[str, Path], artifact: Artifact, live_server: LiveServer
) -> None:
    page.goto(f"{live_server.url}/verify/{artifact.number}")
    assert page.url.endswith(artifact.sha256)
    assert page.text_content("h1") == "valid"

    page.set_input_files("#file", good)
    assert artifact.number in answer(page, "valid: this file is artifact")
    page.click("#upload")
    assert "covers the whole file" in answer(page, "valid: the signature")

    for verdict, file in forged.items():
        page.set_input_files("#file", file)
        answer(page, "unknown:")
        page.click("#upload")
        answer(page, f"{verdict.replace('_', ' ')}:")


def test_a_file_that_is_dropped_is_looked_up_from_the_start_page(
    page: Any, good: Path, artifact: Artifact, live_server: LiveServer
) -> None:
    page.goto(f"{live_server.url}/verify/")
    content = list(good.read_bytes())
    page.evaluate(
        """content => {
            const held = new DataTransfer();
            held.items.add(new File([new Uint8Array(content)], "artifact.pdf", { type: "application/pdf" }));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: held, bubbles: true, cancelable: true }));
        }""",
        content,
    )

    answer(page, "valid: this file is artifact")
    page.click("#answer a")
    assert page.text_content("h1") == "valid"


def test_a_revoked_artifact_is_seen_as_revoked(
    withdrawn: Artifact, page: Any, good: Path, live_server: LiveServer
) -> None:
    page.goto(f"{live_server.url}/verify/")
    page.set_input_files("#file", good)

    assert "wrong person" in answer(page, "revoked:")
    page.click("#upload")
    answer(page, "revoked: the file is as it was issued")
