import uuid
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client

from evals.admin.prompt_scores import newest_runs, score_columns
from evals.models import EvalResult, EvalRun
from prompts.models import Prompt

pytestmark = pytest.mark.django_db


def run_of(version: str, recalls: list[float], **facts: object) -> EvalRun:
    known = {
        "state": "done",
        "dataset": "django-topics",
        "module": "m6-production",
        "questions": len(recalls),
        "prompts": {},
        "model_names": {},
        "corpus": "django",
        "corpus_version": "v1",
        "config": {},
        "provider_mode": "simulated",
        "batch": uuid.uuid4().hex,
        "dataset_path": "django-topics",
        "dataset_sha256": "0" * 64,
        "prompt_version": version,
    }
    run = EvalRun.objects.create(**known | facts)
    for number, recall in enumerate(recalls):
        EvalResult.objects.create(
            run=run,
            question_id=f"q{number}",
            question="?",
            answerable=True,
            trace_id=f"{run.pk}-{number}",
            answered=True,
            scores={"citation_recall": recall},
            cost_usd=Decimal("0.01"),
            spent_usd=Decimal("0.01"),
            latency_ms=1.0,
        )
    return run


def test_the_scores_are_those_of_the_newest_whole_evaluation_of_each_version() -> None:
    run_of("v1", [0.0, 0.0])
    run_of("v1", [1.0, 0.5])
    run_of("v1", [0.0], state="stopped")
    run_of("v2", [0.0, 0.0], module="m4-transform")

    citations = score_columns(newest_runs())[0]

    assert citations.cell("v1").startswith("0.75 (")
    assert citations.cell("v2") == "-"


def test_the_page_of_a_prompt_shows_them(client: Client, alice: User) -> None:
    run_of("v1", [1.0, 1.0])
    client.force_login(alice)

    answer, hyde = (
        client.get(f"/admin/prompts/prompt/{Prompt.objects.get(name=name).pk}/change/").content.decode()
        for name in ("answer", "hyde")
    )

    assert "Grounded" in answer
    assert "1.00 (" in answer
    assert "Grounded" not in hyde


def test_the_runs_can_be_read_and_not_changed(client: Client, alice: User) -> None:
    run = run_of("v1", [1.0])
    client.force_login(alice)

    assert "django-topics" in client.get("/admin/evals/evalrun/").content.decode()
    assert client.get(f"/admin/evals/evalrun/{run.pk}/change/").status_code == 200
    assert client.get("/admin/evals/evalrun/add/").status_code == 403
