import json
import os
from collections import Counter
from pathlib import Path

import pytest

from evals.questions import EvalQuestion, GoldPassage, load_questions

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


@pytest.fixture
def write(tmp_path):
    def _write(*rows):
        path = tmp_path / "set.jsonl"
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    return _write


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
        EvalQuestion(id="q01", question="How?", kind="short", answerable=True, gold=(gold,), references=("So.",)),
    )


def test_it_keeps_the_order_of_the_lines(write):
    questions = load_questions(write({**ROW, "id": "b"}, {**ROW, "id": "a"}))

    assert [question.id for question in questions] == ["b", "a"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "not JSON"),
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


def shipped_passages() -> list[GoldPassage]:
    gold = [gold for question in load_questions(DATASET) for gold in question.gold]
    return [passage for passage in gold if isinstance(passage, GoldPassage)]


def test_the_shipped_passages_have_between_100_and_1200_characters():
    lengths = [gold.end - gold.start for gold in shipped_passages()]

    assert min(lengths) >= 100
    assert max(lengths) <= 1200


def test_the_shipped_spans_point_at_their_quotes(documents):
    passages = shipped_passages()

    moved = [gold for gold in passages if documents(gold.source)[gold.start : gold.start + 40] != gold.quote_start]
    overlong = [gold for gold in passages if gold.end > len(documents(gold.source))]

    assert moved == []
    assert overlong == []
