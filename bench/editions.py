"""A corpus whose documents are replaced again and again while it is asked: every sentence of a version bears its edition.

So an answer whose sources bear two editions, or one that is not its version's, shows a version that served before it was whole.
Two clients ingest by turns: one by `manage.py ingest`, the other by files through the admin and the queue of the worker.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx

from bench.asking import EDITIONS, MODULES
from bench.own_site import Site
from bench.serving import ROOT
from rag.modules import find_module

DOCUMENTS, SECTIONS, SENTENCES, WORDS = 6, 5, 8, 9
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
PAUSE_S = 2.0
LONGEST_S = 120.0
UPLOAD = "/admin/rag/ingestjob/add/"
DONE = "done"


def chunkers() -> tuple[str, ...]:
    """Those that the asked modules read."""
    return tuple(sorted({find_module(name).chunker for name in MODULES}))


def vocabulary() -> list[str]:
    draw = random.Random("the words of every edition")
    return ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 9))) for _ in range(400)]


def edition_name(number: int) -> str:
    return f"edition-{number:04}"


def write_edition(folder: Path, number: int) -> None:
    words, draw = vocabulary(), random.Random("the texts of every edition")
    folder.mkdir(parents=True)
    for document in range(DOCUMENTS):
        sections = [
            f"## Part {document} {section}\n\n"
            + " ".join(f"{' '.join(draw.choices(words, k=WORDS))} in {edition_name(number)}." for _ in range(SENTENCES))
            for section in range(SECTIONS)
        ]
        (folder / f"part-{document}.md").write_text(f"# Part {document}\n\n" + "\n\n".join(sections) + "\n")


def questions() -> tuple[str, ...]:
    draw, words = random.Random("questions about editions"), vocabulary()
    return tuple(f"What is said of {' '.join(draw.sample(words, 5))}?" for _ in range(60))


@dataclass(frozen=True, slots=True)
class Ingested:
    """One attempt, times in Unix seconds. `end`: done, or what came between."""

    how: str
    began: float
    ended: float
    end: str


@dataclass(slots=True)
class Ingests:
    """`process`: the `manage.py ingest` that runs now, for whoever wants to kill it."""

    site: Site
    attempts: list[Ingested] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    faults: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def first(self) -> None:
        """Raises RuntimeError where it does not succeed: nothing is broken yet."""
        end = self._by_command(0)
        if end != DONE:
            raise RuntimeError(f"the first ingest of {EDITIONS}: {end}\n{self.site.told('ingest')[-2000:]}")

    def start(self) -> None:
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _go_on(self) -> None:
        ways = {"by command": self._by_command, "by upload": self._by_upload}
        for number, how in enumerate(cycle(ways), start=1):
            if self._stopped.wait(PAUSE_S):
                return
            began = time.time()
            try:
                end = ways[how](number)
            except Exception as error:  # noqa: BLE001 - ingests that end early are a finding
                self.faults.append(f"the ingests ended: {type(error).__name__}: {error}")
                return
            self.attempts.append(Ingested(how, began, time.time(), end))

    def _by_command(self, number: int) -> str:
        with tempfile.TemporaryDirectory() as place, (self.site.folder / "ingest.log").open("ab") as log:
            folder = Path(place, "documents")
            write_edition(folder, number)
            options = [word for name in chunkers() for word in ("--chunker", name)]
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "ingest", str(folder), "--corpus", EDITIONS, *options],
                cwd=ROOT,
                env={**os.environ, **self.site.environment},
                stdout=log,
                stderr=log,
            )
            status = self.process.wait(LONGEST_S)
        return {0: DONE, 1: "refused or failed", -signal.SIGKILL: "killed"}.get(status, f"exit status {status}")

    def _by_upload(self, number: int) -> str:
        """Done means here that the job is queued: the worker does it when it can."""
        try:
            with tempfile.TemporaryDirectory() as place, self.site.client(Referer=self.site.url) as browser:
                folder = Path(place, "documents")
                write_edition(folder, number)
                login = {"username": "admin", "password": self.site.password}
                posted(browser, "/admin/login/", login, [])
                files = [("uploads", (path.name, path.read_bytes(), "text/plain")) for path in folder.iterdir()]
                posted(browser, UPLOAD, {"corpus_slug": EDITIONS, "chunkers": list(chunkers())}, files)
        except httpx.HTTPError as error:
            return f"not taken ({type(error).__name__})"
        return DONE


def posted(browser: httpx.Client, page: str, form: dict[str, Any], files: Sequence[Any]) -> None:
    """As a browser does it; raises HTTPError where it is not taken, which is answered with another page."""
    token = TOKEN.search(browser.get(page).text)
    answer = browser.post(
        page, data=form | {"csrfmiddlewaretoken": token.group(1) if token else ""}, files=files or None
    )
    if answer.status_code != httpx.codes.FOUND:
        raise httpx.HTTPStatusError(f"{page}: {answer.status_code}", request=answer.request, response=answer)
