"""The provider's own reports say what the bill says."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.tests.clients import claude
from sandbox.tests.conftest import Running
from sandbox.tests.test_messages import ANSWERING

COSTS = "/anthropic/v1/organizations/cost_report"
USAGE = "/anthropic/v1/organizations/usage_report/messages"


def get(server: Running, path: str, **query: Any) -> Any:
    query = {"starting_at": today(server), **query}
    return server.http.get(
        path, params={k: v for k, v in query.items() if v is not None}, headers={"x-api-key": "admin"}
    )


def today(server: Running) -> str:
    server_now = datetime.fromisoformat(server.ask("POST", "/_control/clock", {"advance_s": 0})["bill"])
    return f"{server_now:%Y-%m-%dT00:00:00Z}"


def asked(server: Running, key: str, **changes: Any) -> None:
    claude(server, key=key).messages.create(**ANSWERING | changes)


def results(report: Any) -> list[dict[str, Any]]:
    return [result for bucket in report["data"] for result in bucket["results"]]


def test_the_costs_add_up_to_the_bill(server, key):
    asked(server, key)
    asked(server, key, model="claude-haiku-4-5")

    found = results(get(server, COSTS, **{"group_by[]": "description"}).json())

    assert {(item["model"], item["token_type"]) for item in found} == {
        (model, kind)
        for model in ("claude-haiku-4-5", "claude-sonnet-4-6")
        for kind in ("uncached_input_tokens", "output_tokens")
    }
    assert sum(Decimal(item["amount"]) for item in found) == Decimal(server.bill()["total_usd"]) * 100
    assert {(item["currency"], item["cost_type"]) for item in found} == {("USD", "tokens")}


def test_without_a_group_the_costs_are_one_sum(server, key):
    asked(server, key)
    asked(server, key, model="claude-haiku-4-5")

    (item,) = results(get(server, COSTS).json())

    assert Decimal(item["amount"]) == Decimal(server.bill()["total_usd"]) * 100
    assert (item["model"], item["token_type"]) == (None, None)


def test_the_usage_adds_up_to_the_bill(server, key):
    asked(server, key)
    asked(server, key)

    (item,) = results(get(server, USAGE, **{"group_by[]": "model"}).json())

    billed = [entry["usage"] for entry in server.bill()["entries"]]
    assert item["model"] == "claude-sonnet-4-6"
    assert item["uncached_input_tokens"] == sum(usage["input_tokens"] for usage in billed)
    assert item["output_tokens"] == sum(usage["output_tokens"] for usage in billed)
    assert item["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}


def test_a_day_has_only_its_own(server, key):
    asked(server, key)
    server.advance(86_400, bill=True)
    asked(server, key, model="claude-haiku-4-5")

    (item,) = results(get(server, USAGE, **{"group_by[]": "model"}).json())

    assert item["model"] == "claude-haiku-4-5"


def test_buckets_come_in_pages(server, key):
    begin = datetime.fromisoformat(today(server)) - timedelta(days=9)
    seen, page = [], None
    while True:
        report = get(server, COSTS, starting_at=f"{begin:%Y-%m-%dT%H:%M:%SZ}", limit=4, page=page).json()
        seen += [bucket["starting_at"] for bucket in report["data"]]
        page = report["next_page"]
        if not report["has_more"]:
            break

    assert seen == [f"{begin + timedelta(days=n):%Y-%m-%dT%H:%M:%SZ}" for n in range(10)]
    assert begin.tzinfo == UTC


@pytest.mark.parametrize(
    "wrong",
    [
        {"starting_at": None},
        {"starting_at": "yesterday"},
        {"bucket_width": "1w"},
        {"limit": 99},
        {"group_by[]": "colour"},
    ],
    ids=str,
)
def test_what_the_real_one_refuses_is_refused(server, wrong):
    answer = get(server, COSTS, **wrong)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_report_can_be_broken_on_order(server):
    server.break_next("anthropic.cost_report", kind="status", status=529)

    assert [get(server, COSTS).status_code for _ in range(2)] == [529, 200]


def test_a_report_needs_a_key(server):
    assert server.http.get(COSTS, params={"starting_at": today(server)}).status_code == 401
