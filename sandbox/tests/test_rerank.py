from typing import Any

import cohere.errors
import pytest

from sandbox.tests.clients import command
from sandbox.tests.conftest import post

DOCUMENTS = ["Cars need petrol.", "A banana is a yellow fruit.", "Databases hold rows.", "Yellow paint dries slowly."]


def rerank(server, **changes: object):
    request: dict[str, Any] = {
        "model": "rerank-v3.5",
        "query": "Which fruit is yellow?",
        "documents": DOCUMENTS,
    } | changes
    return command(server).rerank(**request)


def test_the_best_document_comes_first(server):
    results = rerank(server).results

    assert results[0].index == 1
    assert sorted(result.index for result in results) == [0, 1, 2, 3]


def test_scores_fall_and_stay_between_zero_and_one(server):
    scores = [result.relevance_score for result in rerank(server).results]

    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[-1] < scores[0] < 1


def test_top_n_limits_the_results(server):
    assert [result.index for result in rerank(server, top_n=1).results] == [1]


def test_equal_documents_keep_their_order(server):
    results = rerank(server, documents=["same words"] * 3).results

    assert [result.index for result in results] == [0, 1, 2]


def test_a_search_unit_holds_a_hundred_documents(server):
    assert rerank(server, documents=["short"] * 100).meta.billed_units.search_units == 1
    assert rerank(server, documents=["short"] * 101).meta.billed_units.search_units == 2


def test_long_documents_count_as_several(server):
    assert rerank(server, documents=["word " * 600] * 60).meta.billed_units.search_units == 2


def test_newer_models_bill_tokens(server):
    units = rerank(server, model="rerank-v5.0-pro").meta.billed_units

    assert units.search_units is None
    assert units.input_tokens > 20


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"documents": []}, 400),
        ({"documents": [1]}, 400),
        ({"query": " "}, 400),
        ({"top_n": 0}, 400),
        ({"model": "rerank-v0"}, 404),
    ],
)
def test_a_bad_request_is_refused(server, changes, status):
    body = {"model": "rerank-v3.5", "query": "x", "documents": ["y"]} | changes

    answer = post(server, "/cohere/v2/rerank", body)

    assert answer.status_code == status
    assert answer.json()["message"]


def test_the_sdk_raises_its_own_error(server):
    with pytest.raises(cohere.errors.NotFoundError):
        rerank(server, model="rerank-v0")
