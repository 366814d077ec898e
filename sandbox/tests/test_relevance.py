import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sandbox.relevance import TermIndex, blend, ranked, zscores

SCORES = arrays.arrays(np.float64, st.integers(1, 12), elements=st.floats(-5, 5))


def test_the_document_with_the_rare_word_wins():
    scores = TermIndex().bm25("rare word", ["word word", "the rare word", "nothing here"])

    assert ranked(scores) == [1, 0, 2]


def test_documents_without_any_word_of_the_query_score_zero():
    assert TermIndex().bm25("rare", ["common", ""]).tolist() == [0, 0]


@given(SCORES)
def test_ranking_is_a_permutation_and_falls(scores):
    order = ranked(scores)

    assert sorted(order) == list(range(len(scores)))
    assert all(scores[a] >= scores[b] for a, b in zip(order, order[1:], strict=False))


def test_ties_keep_their_order():
    assert ranked(np.array([1.0, 2.0, 1.0, 2.0])) == [1, 3, 0, 2]


@given(SCORES)
def test_blended_scores_lie_between_zero_and_one(scores):
    mixed = blend(scores, scores[::-1].copy())

    assert np.all((mixed > 0) & (mixed < 1))


def test_z_scores_have_mean_zero_and_spread_one():
    scores = zscores(np.array([1.0, 2.0, 3.0]))

    assert (scores.mean(), scores.std()) == (pytest.approx(0), pytest.approx(1))
    assert zscores(np.array([4.0, 4.0])).tolist() == [0, 0]
