import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.retrieval.fusion import reciprocal_rank_fusion, relative_score_fusion
from rag.values import Hit

RANKINGS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=10), max_size=4)
SCORED = st.lists(
    st.lists(
        st.builds(Hit, st.sampled_from("abcdefgh"), st.integers(-9, 9)), max_size=8, unique_by=lambda hit: hit.key
    ),
    max_size=4,
)


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


def test_scores_are_stretched_to_the_same_scale_and_added():
    hits = relative_score_fusion(
        rankings=[[Hit("a", 0.9), Hit("b", 0.8), Hit("c", 0.5)], [Hit("b", 30), Hit("d", 10)]], weights=[1, 2]
    )

    assert keys(hits) == ["b", "a", "c", "d"]
    assert [hit.score for hit in hits] == pytest.approx([2.75, 1.0, 0.0, 0.0])


def test_how_much_better_one_is_than_the_next_counts_where_ranks_forget_it():
    near, far = [Hit("a", 10), Hit("b", 9.9), Hit("c", 0)], [Hit("b", 10), Hit("a", 1), Hit("c", 0)]

    assert keys(relative_score_fusion(rankings=[near, far], weights=[1, 1]))[0] == "b"
    assert keys(reciprocal_rank_fusion(rankings=[keys(tuple(near)), keys(tuple(far))]))[0] == "a"


def test_equal_scores_give_each_key_the_whole_weight():
    assert relative_score_fusion(rankings=[[Hit("a", 7), Hit("b", 7)]], weights=[2]) == (Hit("a", 2.0), Hit("b", 2.0))


def test_a_ranking_of_scores_with_weight_zero_is_left_out():
    assert keys(relative_score_fusion(rankings=[[Hit("a", 1)], [Hit("b", 1)]], weights=[0, 1])) == ["b"]


def test_a_repeated_key_counts_with_its_first_score():
    once, twice = [Hit("a", 3), Hit("b", 1)], [Hit("a", 3), Hit("b", 1), Hit("a", 1)]

    assert relative_score_fusion(rankings=[twice], weights=[1]) == relative_score_fusion(rankings=[once], weights=[1])


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1, math.nan]])
def test_it_refuses_senseless_weights_of_scores(weights):
    with pytest.raises(ValueError):
        relative_score_fusion(rankings=[[Hit("a", 1)], [Hit("b", 1)]], weights=weights)


@given(SCORED)
def test_scores_are_fused_as_in_the_slow_obvious_way(rankings):
    def share(ranking, key):
        scores = [hit.score for hit in ranking]
        mine = [hit.score for hit in ranking if hit.key == key]
        if not mine:
            return 0.0
        return (mine[0] - min(scores)) / (max(scores) - min(scores)) if max(scores) > min(scores) else 1.0

    seen = list(dict.fromkeys(hit.key for ranking in rankings for hit in ranking))
    expected = {key: math.fsum(share(ranking, key) for ranking in rankings) for key in seen}

    hits = relative_score_fusion(rankings=rankings, weights=[1.0] * len(rankings))

    assert [(hit.key, hit.score) for hit in hits] == sorted(expected.items(), key=lambda item: -item[1])
