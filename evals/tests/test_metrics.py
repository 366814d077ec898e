import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.matching import Judgement, judge
from evals.metrics import (
    Mean,
    citation_precision,
    citation_recall,
    mean,
    means,
    ndcg_at,
    question_scores,
    recall_at,
    reciprocal_rank_at,
    refusals,
)
from evals.questions import EvalQuestion, GoldDocument, GoldPassage

PASSAGE = GoldPassage(source="a", start=1000, end=1600, quote_start="q" * 40)
OTHER = GoldPassage(source="b", start=0, end=300, quote_start="q" * 40)
NOTHING = Judgement(found=(), grades=(1,))


def asking_for(*gold, answerable=True) -> EvalQuestion:
    return EvalQuestion(id="q01", question="?", kind=None, answerable=answerable, gold=gold, references=())


def graded(**grades) -> EvalQuestion:
    return asking_for(*(GoldDocument(source, grade) for source, grade in grades.items()))


def chunks(sources) -> list[tuple[str, int, int]]:
    return [(source, 0, 10) for source in sources]


def test_recall_is_the_share_of_the_gold_found():
    judgement = judge(question=asking_for(PASSAGE, OTHER), ranked=[("c", 0, 900), ("a", 900, 1700)])

    assert recall_at(judgement, k=1) == 0.0
    assert recall_at(judgement, k=2) == 0.5


def test_nothing_found_is_zero_everywhere():
    assert recall_at(NOTHING, k=5) == reciprocal_rank_at(NOTHING, k=5) == ndcg_at(NOTHING, k=5) == 0.0


def test_the_reciprocal_rank_is_that_of_the_first_gold_within_k():
    judgement = judge(question=graded(c=1, d=2), ranked=chunks("abcd"))

    assert reciprocal_rank_at(judgement, k=10) == pytest.approx(1 / 3)
    assert reciprocal_rank_at(judgement, k=2) == 0.0


def test_ndcg_of_the_worked_example_in_wikipedia_is_0_785():
    """Six documents graded 3, 2, 3, 0, 1, 2 in this order; two more, graded 3 and 2, were not retrieved."""
    question = graded(a=3, b=2, c=3, e=1, f=2, g=3, h=2)

    assert ndcg_at(judge(question=question, ranked=chunks("abcdef")), k=6) == pytest.approx(6.861 / 8.740, abs=1e-3)


def test_binary_ndcg_of_one_relevant_document_at_rank_three_is_one_half():
    assert ndcg_at(judge(question=graded(c=4), ranked=chunks("abc")).binary(), k=10) == 0.5


def test_passages_found_by_one_chunk_take_the_ranks_behind_it():
    both_at_once = Judgement(found=((1, 1), (1, 1)), grades=(1, 1, 1))

    assert ndcg_at(both_at_once, k=10) == pytest.approx((1 + 1 / math.log2(3)) / (1 + 1 / math.log2(3) + 1 / 2))


@pytest.mark.parametrize("measure", [recall_at, reciprocal_rank_at, ndcg_at])
def test_k_must_be_positive(measure):
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        measure(NOTHING, k=0)


letters = st.sampled_from("abcdefgh")
qrels = st.dictionaries(letters, st.integers(1, 4), min_size=1, max_size=5)


def slow_dcg(grades) -> float:
    total = 0.0
    for index, grade in enumerate(grades):
        total += grade / math.log2(index + 2)
    return total


@given(grades=qrels, sources=st.lists(letters, max_size=12), k=st.integers(1, 6))
def test_the_measures_of_documents_equal_the_obvious_slow_ones(grades, sources, k):
    judgement = judge(question=graded(**grades), ranked=chunks(sources))

    distinct = [source for place, source in enumerate(sources) if source not in sources[:place]][:k]
    best = max(slow_dcg(order[:k]) for order in permutations(grades.values()))
    first = [place for place, source in enumerate(distinct, start=1) if source in grades]
    assert recall_at(judgement, k=k) == len(set(distinct) & set(grades)) / len(grades)
    assert reciprocal_rank_at(judgement, k=k) == (1 / first[0] if first else 0)
    assert ndcg_at(judgement, k=k) == pytest.approx(slow_dcg(grades.get(each, 0) for each in distinct) / best)


span = st.tuples(st.sampled_from("ab"), st.integers(0, 2000), st.integers(1, 900)).map(
    lambda drawn: (drawn[0], drawn[1], drawn[1] + drawn[2])
)
passage = span.map(lambda drawn: GoldPassage(*drawn, quote_start="q" * 40))


@given(
    gold=st.lists(passage, min_size=1, max_size=4, unique=True), ranked=st.lists(span, max_size=8), k=st.integers(1, 8)
)
def test_the_measures_of_passages_stay_between_zero_and_one_and_grow_with_the_ranking(gold, ranked, k):
    now = judge(question=asking_for(*gold), ranked=ranked[:-1])
    longer = judge(question=asking_for(*gold), ranked=ranked)

    for measure in (recall_at, reciprocal_rank_at, ndcg_at):
        assert 0 <= measure(now, k=k) <= measure(longer, k=k) <= 1 + 1e-9
    assert recall_at(longer, k=k) <= recall_at(longer, k=k + 1)


def test_citation_precision_is_the_share_of_the_cited_chunks_that_hold_gold():
    cited = [("a", 1000, 1600), ("a", 900, 1700), ("c", 0, 900)]

    assert citation_precision(question=asking_for(PASSAGE, OTHER), cited=cited) == pytest.approx(2 / 3)
    assert citation_recall(question=asking_for(PASSAGE, OTHER), cited=cited) == 0.5


def test_without_citations_precision_is_unknown_and_recall_is_zero():
    assert citation_precision(question=asking_for(PASSAGE), cited=[]) is None
    assert citation_recall(question=asking_for(PASSAGE), cited=[]) == 0.0


def test_an_unanswerable_question_has_no_measure_but_whether_it_was_refused():
    scores = question_scores(
        question=asking_for(answerable=False), ranked=chunks("ab"), cited=chunks("a"), answered=True
    )

    assert scores.pop("refusal_right") == 0.0
    assert set(scores.values()) == {None}


def test_a_question_has_every_measure_by_its_name():
    scores = question_scores(question=graded(b=1), ranked=chunks("ab"), cited=chunks("b"), answered=True)

    assert scores == {
        "recall_at_5": 1.0,
        "recall_at_10": 1.0,
        "mrr": 0.5,
        "ndcg_at_10": pytest.approx(0.6309, abs=1e-4),
        "citation_precision": 1.0,
        "citation_recall": 1.0,
        "refusal_right": 1.0,
    }


def test_refusals_are_judged_by_precision_and_recall():
    counted = refusals([(False, False)] * 3 + [(True, False)] + [(False, True)] * 2 + [(True, True)] * 9)

    assert (counted.rightly, counted.wrongly, counted.missed) == (3, 1, 2)
    assert counted.precision == 0.75
    assert counted.recall == 0.6


def test_refusals_have_no_precision_when_nothing_was_refused_and_no_recall_when_all_is_answerable():
    counted = refusals([(True, True)])

    assert counted.precision is None
    assert counted.recall is None


def test_a_mean_counts_what_it_leaves_out():
    assert mean([1.0, None, 0.0, None]) == Mean(value=0.5, questions=2, left_out=2)
    assert mean([None]) == Mean(value=None, questions=0, left_out=1)


def test_the_means_of_a_run_are_taken_measure_by_measure():
    assert means([{"a": 1.0, "b": None}, {"a": 0.0, "b": 0.25}]) == {"a": Mean(0.5, 2, 0), "b": Mean(0.25, 1, 1)}
    assert means([]) == {}
