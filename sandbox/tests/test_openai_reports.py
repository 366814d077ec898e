"""OpenAI's own reports, read by its SDK, say what the bill says."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import openai
import pytest

from sandbox.tests.clients import gpt, gpt_admin
from sandbox.tests.conftest import Running
from sandbox.tests.test_reports import today

SMALL, LARGE = "text-embedding-3-small", "text-embedding-3-large"
USAGE, COSTS = "/openai/v1/organization/usage/embeddings", "/openai/v1/organization/costs"


def midnight(server: Running) -> int:
    return int(datetime.fromisoformat(today(server)).timestamp())


def embedded(server: Running, *texts: str, model: str = SMALL) -> int:
    return gpt(server).embeddings.create(model=model, input=list(texts)).usage.total_tokens


def results(page: Any) -> list[Any]:
    return [result for bucket in page.data for result in bucket.results]


def test_the_usage_adds_up_to_the_bill(server):
    counts = [embedded(server, "hello"), embedded(server, "hello again", "and again")]
    embedded(server, "hello", model=LARGE)

    found = gpt_admin(server).usage.embeddings(start_time=midnight(server), group_by=["model"])

    large, small = results(found)
    assert (large.model, small.model) == (LARGE, SMALL)
    assert (small.input_tokens, small.num_model_requests) == (sum(counts), 2)


def test_the_costs_add_up_to_the_bill_exactly(server):
    for text in ("hello", "hello again", "what is a transaction?"):
        embedded(server, text)
    embedded(server, "hello", model=LARGE)

    found = results(gpt_admin(server).usage.costs(start_time=midnight(server), group_by=["line_item"]))

    assert [item.line_item for item in found] == [f"{LARGE}, input_tokens", f"{SMALL}, input_tokens"]
    assert sum(Decimal(repr(item.amount.value)) for item in found) == Decimal(server.bill()["total_usd"])
    assert {(item.amount.currency, item.quantity_unit) for item in found} == {("usd", "tokens")}


def test_without_a_group_there_is_one_sum(server):
    embedded(server, "hello")
    embedded(server, "hello", model=LARGE)
    admin = gpt_admin(server)

    (usage,) = results(admin.usage.embeddings(start_time=midnight(server)))
    (cost,) = results(admin.usage.costs(start_time=midnight(server)))

    assert (usage.model, usage.num_model_requests, cost.line_item) == (None, 2, None)
    assert Decimal(repr(cost.amount.value)) == Decimal(server.bill()["total_usd"])


def test_only_the_models_that_are_asked_for_are_told(server):
    embedded(server, "hello")
    embedded(server, "hello", model=LARGE)

    (found,) = results(
        gpt_admin(server).usage.embeddings(start_time=midnight(server), group_by=["model"], models=[LARGE])
    )

    assert found.model == LARGE


def test_buckets_of_an_hour_come_in_pages(server):
    embedded(server, "hello")
    begin, admin = midnight(server) - 86_400, gpt_admin(server)
    seen: list[int] = []
    page: Any = openai.omit
    while page is not None:
        report = admin.usage.embeddings(
            start_time=begin, end_time=begin + 86_400, bucket_width="1h", limit=7, page=page
        )
        seen += [bucket.start_time for bucket in report.data]
        page = report.next_page

    assert seen == [begin + 3_600 * n for n in range(24)]


@pytest.mark.parametrize("path", [USAGE, COSTS])
@pytest.mark.parametrize(
    "wrong",
    [
        {"start_time": None},
        {"start_time": "yesterday"},
        {"start_time": "999999999999999"},
        {"bucket_width": "1w"},
        {"limit": 999},
        {"group_by[]": "colour"},
    ],
    ids=str,
)
def test_what_the_real_one_refuses_is_refused(server, path, wrong):
    asked = {"start_time": midnight(server), **wrong}

    answer = server.http.get(
        path, params={k: v for k, v in asked.items() if v is not None}, headers={"Authorization": "Bearer admin"}
    )

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_costs_come_by_the_day_only(server):
    asked = {"start_time": midnight(server), "bucket_width": "1h"}

    assert server.http.get(COSTS, params=asked, headers={"x-api-key": "admin"}).status_code == 400


def test_a_report_can_be_broken_on_order(server):
    server.break_next("openai.costs", kind="status", status=429)
    asked = {"params": {"start_time": midnight(server)}, "headers": {"x-api-key": "admin"}}

    assert [server.http.get(COSTS, **asked).status_code for _ in range(2)] == [429, 200]


def test_a_report_needs_a_key(server):
    assert server.http.get(USAGE, params={"start_time": midnight(server)}).status_code == 401
