import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.questions import EvalQuestion, GoldPassage, load_questions, passage_found, recall_at

ROOT = Path(__file__).resolve().parents[2]
DATASET = ROOT / "evals" / "datasets" / "django-topics.jsonl"
SAMPLE_DOCS = ROOT / "data" / "sample" / "docs"

GOLD = {"source": "a", "start": 100, "end": 400, "quote_start": "q" * 40}
ROW = {
    "id": "q01",
    "question": "How?",
    "kind": "short",
    "answerable": True,
    "gold": [GOLD],
    "reference": "So.",
}
PASSAGE = GoldPassage(source="a", start=1000, end=1600, quote_start="q" * 40)


@pytest.fixture
def write(tmp_path):
    def _write(*rows):
        path = tmp_path / "set.jsonl"
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    return _write


def question_with(*gold: GoldPassage) -> EvalQuestion:
    return EvalQuestion(id="q01", question="?", kind="short", answerable=bool(gold), gold=gold, reference="!")


@pytest.fixture
def documents():
    """The text of a document of the sample corpus, by its source id."""
    if not SAMPLE_DOCS.is_dir():
        reason = (
            f"GOLD SPANS NOT CHECKED: {SAMPLE_DOCS.relative_to(ROOT)} is missing; `make run` fetches the sample corpus"
        )
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return lambda source: (SAMPLE_DOCS / f"{source}.txt").read_bytes().decode("utf-8")


def test_it_reads_a_question_with_its_passage(write):
    questions = load_questions(write(ROW))

    gold = GoldPassage(source="a", start=100, end=400, quote_start="q" * 40)
    assert questions == (
        EvalQuestion(id="q01", question="How?", kind="short", answerable=True, gold=(gold,), reference="So."),
    )


def test_it_keeps_the_order_of_the_lines(write):
    questions = load_questions(write({**ROW, "id": "b"}, {**ROW, "id": "a"}))

    assert [question.id for question in questions] == ["b", "a"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[]", "expected an object, not list"),
        ({key: value for key, value in ROW.items() if key != "kind"}, "missing kind"),
        ({**ROW, "extra": 1}, "unknown extra"),
        (ROW, "id 'q01' is used twice"),
        ({**ROW, "id": "q02", "kind": "riddle"}, "unknown kind 'riddle'"),
        ({**ROW, "id": "q02", "question": " "}, "'question' is empty"),
        ({**ROW, "id": "q02", "answerable": 1}, "'answerable' must be bool, not int"),
        ({**ROW, "id": "q02", "gold": {}}, "'gold' must be list, not dict"),
        ({**ROW, "id": "q02", "gold": []}, "an answerable question has no gold passage"),
        ({**ROW, "id": "q02", "answerable": False}, "an unanswerable question has gold passages"),
        ({**ROW, "id": "q02", "gold": [GOLD, GOLD]}, "the same gold passage is listed twice"),
        ({**ROW, "id": "q02", "kind": "multi_hop"}, "a multi_hop question needs gold in two documents"),
        ({**ROW, "id": "q02", "gold": ["a"]}, "expected an object, not str"),
        ({**ROW, "id": "q02", "gold": [{**GOLD, "start": True}]}, "'start' must be int, not bool"),
        ({**ROW, "id": "q02", "gold": [{**GOLD, "end": 100}]}, "gold span 100 to 100 in 'a' is empty"),
        ({**ROW, "id": "q02", "gold": [{**GOLD, "start": -1}]}, "gold span -1 to 400 in 'a' is empty or negative"),
        ({**ROW, "id": "q02", "gold": [{**GOLD, "quote_start": "q"}]}, "'quote_start' must have 40 characters"),
    ],
)
def test_it_names_the_line_that_breaks_a_rule(write, row, message):
    path = write(ROW, row)

    with pytest.raises(ValueError, match=f"set.jsonl, line 2: .*{message}"):
        load_questions(path)


def test_it_names_the_line_that_is_not_utf8(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n\xff\n")

    with pytest.raises(ValueError, match=r"set\.jsonl, line 2: 'utf-8' codec"):
        load_questions(path)


def test_it_refuses_an_empty_file(write):
    with pytest.raises(ValueError, match=r"set\.jsonl: no questions"):
        load_questions(write())


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


def test_recall_is_the_share_of_the_passages_found():
    other = GoldPassage(source="b", start=0, end=300, quote_start="q" * 40)
    ranked = [("c", 0, 900), ("a", 900, 1700)]

    assert recall_at(question=question_with(PASSAGE, other), ranked=ranked, k=5) == 0.5


def test_recall_looks_at_the_first_k_chunks_only():
    question = question_with(PASSAGE)
    ranked = [("c", 0, 900), ("a", 900, 1700)]

    assert recall_at(question=question, ranked=ranked, k=1) == 0.0
    assert recall_at(question=question, ranked=ranked, k=2) == 1.0


def test_recall_counts_a_passage_once():
    ranked = [("a", 1000, 1600), ("a", 900, 1700), ("a", 1000, 1600)]

    assert recall_at(question=question_with(PASSAGE), ranked=ranked, k=3) == 1.0


def test_recall_of_nothing_retrieved_is_zero():
    assert recall_at(question=question_with(PASSAGE), ranked=[], k=5) == 0.0


def test_one_chunk_may_find_two_passages():
    near = GoldPassage(source="a", start=1700, end=1900, quote_start="q" * 40)

    assert recall_at(question=question_with(PASSAGE, near), ranked=[("a", 900, 2000)], k=1) == 1.0


def test_recall_is_undefined_for_an_unanswerable_question():
    with pytest.raises(ValueError, match="no gold passages"):
        recall_at(question=question_with(), ranked=[("a", 0, 10)], k=5)


def test_recall_needs_a_positive_k():
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        recall_at(question=question_with(PASSAGE), ranked=[], k=0)


span = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2000), st.integers(1, 900)).map(
    lambda drawn: (drawn[0], drawn[1], drawn[1] + drawn[2])
)


@given(ranked=st.lists(span, max_size=8), k=st.integers(1, 8))
def test_recall_never_falls_when_k_grows(ranked, k):
    question = question_with(PASSAGE, GoldPassage(source="b", start=0, end=300, quote_start="q" * 40))

    assert recall_at(question=question, ranked=ranked, k=k) <= recall_at(question=question, ranked=ranked, k=k + 1)


def test_the_shipped_set_has_24_answerable_and_6_unanswerable_questions():
    questions = load_questions(DATASET)

    assert Counter(question.answerable for question in questions) == {True: 24, False: 6}


def test_the_shipped_set_spreads_over_at_least_20_documents():
    questions = load_questions(DATASET)

    assert len({gold.source for question in questions for gold in question.gold}) >= 20


def test_the_shipped_set_asks_at_least_four_answerable_questions_of_every_kind():
    counts = Counter(question.kind for question in load_questions(DATASET) if question.answerable)

    assert len(counts) == 5
    assert min(counts.values()) >= 4


def test_the_shipped_passages_have_between_100_and_1200_characters():
    lengths = [gold.end - gold.start for question in load_questions(DATASET) for gold in question.gold]

    assert min(lengths) >= 100
    assert max(lengths) <= 1200


def test_the_shipped_spans_point_at_their_quotes(documents):
    passages = [gold for question in load_questions(DATASET) for gold in question.gold]

    moved = [gold for gold in passages if documents(gold.source)[gold.start : gold.start + 40] != gold.quote_start]
    overlong = [gold for gold in passages if gold.end > len(documents(gold.source))]

    assert moved == []
    assert overlong == []
