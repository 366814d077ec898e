"""A repository, a scoreboard that passes, and an artifact that was really issued."""

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from completion.issuing import issue
from completion.models import Artifact
from completion.tests.samples import sample_board
from evals import scoreboard
from evals.models import EvalResult, EvalRun
from evals.scoreboard import Scoreboard, from_json
from ragsite.tests.browser import program

START = 1_790_000_000
HOUR = 3_600
GIT = shutil.which("git") or "git"


class Repository:
    """A git repository to which commits are added at given times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, at: int = START, author: str = "Ada Lovelace <ada@example.com>") -> str:
        name, _, email = author.rstrip(">").partition(" <")
        told = {"AUTHOR": f"{at} +0000", "COMMITTER": f"{at} +0000"}
        environment = {f"GIT_{who}_DATE": when for who, when in told.items()}
        environment |= {f"GIT_{who}_NAME": name for who in told} | {f"GIT_{who}_EMAIL": email for who in told}
        environment |= {"PATH": os.environ["PATH"], "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            [GIT, "-C", str(self.path), *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, *, at: int, author: str = "Ada Lovelace <ada@example.com>", file: str = "", text: str = "") -> str:
        """A change of its own, unless `file` and `text` say which."""
        path = self.path / (file or f"{at}.txt")
        path.write_text(text or f"written at {at}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"at {at}", at=at, author=author)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Three commits within an hour, and one on the next day: 1.0 + 0.5 + 0.5 hours."""
    made = Repository(tmp_path / "repository")
    for at in (START, START + HOUR // 2, START + HOUR, START + 24 * HOUR):
        made.commit(at=at)
    return made


@pytest.fixture
def board(db: None) -> Scoreboard:
    """A scoreboard that passes its ship gate, on runs that are there, kept as the newest."""
    told = sample_board()
    for row in told["modules"]:
        row["eval_run_id"] = make_run(row["module"]).pk
    made = from_json(told)
    scoreboard.keep(made)
    return made


def make_run(module: str) -> EvalRun:
    run = EvalRun.objects.create(
        batch="b",
        state=EvalRun.State.DONE,
        dataset="django-topics",
        dataset_path="django-topics",
        dataset_sha256="d" * 64,
        questions=1,
        module=module,
        prompt_version="v1",
        prompts={"answer": {"version": "v1", "hash": "e" * 64}},
        model_names={"answer": "claude-sonnet-4-6"},
        corpus="django",
        corpus_version="v1",
        config={"name": module, "top_k": 5},
        commit="9e874d52" * 5,
        provider_mode="simulated",
        finished_at=timezone.now(),
    )
    EvalResult.objects.create(
        run=run,
        question_id="q1",
        question="A question that nobody outside may see?",
        answerable=True,
        trace_id=f"trace-of-{module}",
        answered=True,
        scores={"recall_at_5": 1.0},
        spent_usd=0,
    )
    return run


@pytest.fixture
def issue_one(board: Scoreboard, repository: Repository, settings: Settings) -> Callable[..., Artifact]:
    settings.PUBLIC_URL = "https://rag.example.com"

    def _issue_one(name: str = "Ada Lovelace") -> Artifact:
        return issue(
            name=name,
            repository=repository.path,
            board=board,
            now=datetime(2026, 11, 22, 16, tzinfo=UTC),
            who=None,
            history_timeout_s=60,
        )

    return _issue_one


@pytest.fixture
def artifact(issue_one: Callable[..., Artifact]) -> Artifact:
    return issue_one()


@pytest.fixture
def pdfsig() -> str:
    return program("pdfsig", "poppler-utils")
