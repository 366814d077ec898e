from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from rag.ingest import IngestReport
from rag.models import ApiKey, TraceSummary
from rag.stats import stats
from rag.tests.small_world import HELD, asked

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def clerk(db: None) -> APIClient:
    """A client who may see costs, and nothing else."""
    key = ApiKey(name="clerk", scopes=["costs"])
    secret = key.make_secret()
    key.save()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def test_the_figures_are_those_of_the_rows(corpus: IngestReport, clerk: APIClient) -> None:
    for module in ("m6-production", "m6-production", "m6-production", "m4-transform"):
        asked(module=module)

    body = clerk.get("/api/stats").json()

    rows = list(TraceSummary.objects.all())
    assert body["questions"] == body["answered"] == len(rows) == 4
    assert body["spend_usd"] == pytest.approx(float(sum(row.cost_usd or 0 for row in rows)), abs=1e-8)
    assert body["saved_usd"] == pytest.approx(
        float(sum(row.avoided_usd + row.prompt_saved_usd for row in rows)), abs=1e-8
    )
    assert (body["answer_cache"]["hits"], body["answer_cache"]["misses"]) == (2, 1)
    assert body["answer_cache"]["hit_rate"] == pytest.approx(2 / 3, abs=1e-6)
    tokens = body["prompt_cache"]["tokens"]
    assert sum(tokens.values()) == sum(row.tokens_in for row in rows)
    assert [each["module"] for each in body["by_module"]] == ["m4-transform", "m6-production"]
    assert sum(each["questions"] for each in body["by_module"]) == 4
    assert sum(each["spend_usd"] for each in body["by_module"]) == pytest.approx(body["spend_usd"], abs=1e-8)


def test_without_questions_nothing_is_divided_by_nothing(db: None) -> None:
    now = datetime.now(UTC)

    told = stats(since=now - DAY, until=now, provider_mode="live")

    assert (told["questions"], told["spend_usd"], told["cost_per_query_usd"]) == (0, 0.0, None)
    assert (told["answer_cache"]["hit_rate"], told["prompt_cache"]["hit_rate_by_tokens"]) == (None, None)


def test_real_and_simulated_money_are_kept_apart(corpus: IngestReport, clerk: APIClient) -> None:
    asked(HELD)

    assert clerk.get("/api/stats?provider_mode=live").json()["questions"] == 0
    assert clerk.get("/api/stats?provider_mode=simulated").json()["questions"] == 1


def test_the_span_can_be_chosen(corpus: IngestReport, clerk: APIClient) -> None:
    asked(HELD)
    tomorrow = (datetime.now(UTC) + DAY).isoformat().replace("+00:00", "Z")

    assert clerk.get(f"/api/stats?since={tomorrow}").json()["questions"] == 0
    assert clerk.get("/api/stats?since=yesterday").status_code == 400


def test_a_key_without_the_scope_sees_nothing(bob: APIClient) -> None:
    assert bob.get("/api/stats").status_code == 403
