import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.matching import Judgement, judge, passage_found
from evals.questions import EvalQuestion, GoldDocument, GoldPassage

PASSAGE = GoldPassage(source="a", start=1000, end=1600, quote_start="q" * 40)
OTHER = GoldPassage(source="b", start=0, end=300, quote_start="q" * 40)


def asking_for(*gold) -> EvalQuestion:
    return EvalQuestion(id="q01", question="?", kind=None, answerable=True, gold=gold, references=())


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (1000, 1600, True),  # the passage itself
        (0, 5000, True),  # a long chunk around it
        (1200, 1400, True),  # a short chunk inside it
        (0, 1300, True),  # a long chunk that holds half of it
        (0, 1299, False),  # a long chunk that holds less than half of it
        (900, 1100, True),  # a short chunk that lies half inside it
        (850, 1099, False),  # a short chunk that lies less than half inside it
        (1000, 1040, False),  # a heading
        (1600, 2200, False),  # the next chunk
        (3000, 4000, False),  # elsewhere
    ],
)
def test_it_judges_a_chunk_by_half_of_the_shorter_of_the_two(start, end, found):
    assert passage_found(gold=PASSAGE, source="a", start=start, end=end) is found


def test_it_finds_a_short_passage_by_half_of_it():
    gold = GoldPassage(source="a", start=0, end=120, quote_start="q" * 40)

    assert passage_found(gold=gold, source="a", start=60, end=900)
    assert not passage_found(gold=gold, source="a", start=61, end=900)


def test_it_does_not_find_the_same_span_in_another_document():
    assert not passage_found(gold=PASSAGE, source="b", start=1000, end=1600)


@given(cut=st.integers(min_value=1001, max_value=1599))
def test_it_finds_a_passage_that_a_chunk_border_cuts_in_two(cut):
    chunks = [(0, cut), (cut, 3000)]

    assert any(passage_found(gold=PASSAGE, source="a", start=start, end=end) for start, end in chunks)


def test_passages_are_ranked_by_the_first_chunk_that_finds_them():
    ranked = [("c", 0, 900), ("a", 900, 1700), ("a", 1000, 1600), ("b", 0, 500)]

    assert judge(question=asking_for(PASSAGE, OTHER), ranked=ranked) == Judgement(found=((2, 1), (4, 1)), grades=(1, 1))


def test_one_chunk_may_find_two_passages():
    near = GoldPassage(source="a", start=1700, end=1900, quote_start="q" * 40)

    assert judge(question=asking_for(PASSAGE, near), ranked=[("a", 900, 2000)]).found == ((1, 1), (1, 1))


def test_a_document_counts_once_at_its_best_chunk_and_ranks_count_documents():
    gold = (GoldDocument("a", 1), GoldDocument("b", 3))
    ranked = [("x", 0, 9), ("x", 9, 18), ("b", 5, 9), ("x", 18, 27), ("b", 0, 5), ("a", 0, 1)]

    assert judge(question=asking_for(*gold), ranked=ranked) == Judgement(found=((2, 3), (3, 1)), grades=(3, 1))


def test_binary_takes_every_grade_as_one():
    assert Judgement(found=((2, 4),), grades=(4, 3)).binary() == Judgement(found=((2, 1),), grades=(1, 1))


def test_a_question_without_gold_has_no_judgement():
    with pytest.raises(ValueError, match="q01 has no gold"):
        judge(question=asking_for(), ranked=[("a", 0, 10)])
