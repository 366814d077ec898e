"""The API against its own schema: requests that follow it, and requests that do not, over real HTTP.

FUZZ_CASES is how many are sent in all; `make fuzz` sends 2,000.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rag.ingest import IngestReport
from rag.models import ApiKey
from rag.tests.serving import web_process

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.usefixtures("corpus")]
CASES = int(os.environ.get("FUZZ_CASES", "200"))
ANSWERED = ("transform", "top_k", "session", "stream")
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
)


@pytest.fixture
def site(corpus: IngestReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("READ_RATE", "100000/min")
    monkeypatch.setenv("DEFAULT_CORPUS", "handbook")
    with web_process(tmp_path / "web.log") as (url, _):
        yield url


@pytest.fixture
def full_key(site: str) -> str:
    key = ApiKey(name="fuzz", scopes=list(ApiKey.SCOPES))
    told = key.make_secret()
    key.save()
    return told


def test_no_request_makes_it_fail_or_answer_what_the_schema_does_not_say(site: str, full_key: str) -> None:
    schema = schemathesis.openapi.from_url(f"{site}/api/schema")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    told = Told()
    for operation in operations:
        for mode in GenerationMode:
            send(operation, mode, CASES // (2 * len(operations)), full_key, told)

    print(f"{sum(told.answers.values())} requests: {dict(sorted(told.answers.items()))}")  # noqa: T201 - the report of `make fuzz`
    assert not told.faults, "\n".join(told.faults.values())
    assert len(operations) >= 4
    assert sum(told.answers.values()) >= CASES * 0.9
    assert {"200", "400", "404"} <= {label.split()[-1] for label in told.answers}


@dataclass
class Told:
    """How many answers of each status, and the first request for each kind of fault."""

    answers: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)


def send(operation: APIOperation, mode: GenerationMode, cases: int, full_key: str, told: Told) -> None:
    @settings(max_examples=cases, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: schemathesis.Case) -> None:
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict) and len(str(case.body["question"])) % 2:
            case.body = {"question": case.body["question"], "corpus": "handbook"} | {
                name: case.body[name] for name in ANSWERED if name in case.body
            }  # made-up names of corpora and modules are refused before anything is asked
        response = case.call(headers={"Authorization": f"Bearer {full_key}"})
        told.answers[f"{operation.label} {response.status_code}"] += 1
        try:
            case.validate_response(response, checks=list(CHECKS))
        except FailureGroup as failures:
            told.faults.setdefault(
                f"{operation.label} {response.status_code}", f"{case.as_curl_command()} {failures.exceptions}"
            )

    one()
