import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.retrieval.fusion import reciprocal_rank_fusion
from rag.values import Hit

RANKINGS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=10), max_size=4)


def keys(hits: tuple[Hit, ...]) -> list[str]:
    return [hit.key for hit in hits]


def test_it_adds_reciprocal_ranks():
    hits = reciprocal_rank_fusion(rankings=[["a", "b"], ["b", "c"]])

    assert hits == (Hit("b", 1 / 62 + 1 / 61), Hit("a", 1 / 61), Hit("c", 1 / 62))


def test_it_weighs_rankings():
    hits = reciprocal_rank_fusion(rankings=[["a"], ["b"]], weights=[1, 2.5], k=0)

    assert hits == (Hit("b", 2.5), Hit("a", 1.0))


def test_it_leaves_out_a_ranking_of_weight_zero():
    assert keys(reciprocal_rank_fusion(rankings=[["a"], ["b"]], weights=[0, 1])) == ["b"]


def test_it_keeps_ties_in_order_of_first_appearance():
    assert keys(reciprocal_rank_fusion(rankings=[["b", "a"], ["a", "b"], ["c"]])) == ["b", "a", "c"]


def test_rounding_breaks_no_tie():
    rankings = [["b", "x", "a"], ["x", "a", "b"], ["a", "b", "x"]]

    assert keys(reciprocal_rank_fusion(rankings=rankings)) == ["b", "x", "a"]


def test_it_counts_a_repeated_key_once_at_its_best_rank():
    assert reciprocal_rank_fusion(rankings=[["a", "a", "b"]]) == reciprocal_rank_fusion(rankings=[["a", "b"]])


def test_it_stops_at_the_limit():
    assert keys(reciprocal_rank_fusion(rankings=[["a", "b", "c"]], limit=2)) == ["a", "b"]


def test_nothing_fused_is_nothing():
    assert reciprocal_rank_fusion(rankings=[]) == ()


@pytest.mark.parametrize("wrong", [{"weights": [1.0]}, {"weights": [1.0, -1.0]}, {"weights": [1, math.nan]}, {"k": -1}])
def test_it_refuses_senseless_numbers(wrong):
    with pytest.raises(ValueError):
        reciprocal_rank_fusion(rankings=[["a"], ["b"]], **wrong)


@given(RANKINGS)
def test_it_holds_every_key_once(rankings):
    fused = keys(reciprocal_rank_fusion(rankings=rankings))

    assert sorted(fused) == sorted(set().union(*rankings))


@given(RANKINGS)
def test_it_equals_the_slow_obvious_way(rankings):
    distinct = [list(dict.fromkeys(ranking)) for ranking in rankings]
    scores = {
        key: math.fsum(1 / (60 + ranking.index(key) + 1) for ranking in distinct if key in ranking)
        for ranking in distinct
        for key in ranking
    }

    hits = reciprocal_rank_fusion(rankings=rankings)

    assert [(hit.key, hit.score) for hit in hits] == sorted(scores.items(), key=lambda item: -item[1])


@given(st.permutations("abcdef"))
def test_one_ranking_stays_as_it_is(ranking):
    assert keys(reciprocal_rank_fusion(rankings=[ranking])) == list(ranking)


@given(RANKINGS, st.randoms())
def test_the_order_of_rankings_changes_no_score(rankings, random):
    shuffled = random.sample(rankings, len(rankings))

    assert set(reciprocal_rank_fusion(rankings=rankings)) == set(reciprocal_rank_fusion(rankings=shuffled))
