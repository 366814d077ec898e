import pytest

from evals.beir import BeirDocument, documents, read_folder
from evals.lines import DatasetError
from evals.questions import EvalQuestion, GoldDocument
from evals.tests.conftest import CORPUS, QRELS, QUERIES, jsonl


def test_it_reads_questions_with_their_graded_documents_and_answers(beir):
    read = read_folder(beir())

    assert read.questions == (
        EvalQuestion("q1", "One?", None, True, (GoldDocument("d1", 1),), ("1", "one")),
        EvalQuestion("q2", "Two?", None, True, (GoldDocument("d2", 2), GoldDocument("d3", 1)), ()),
        EvalQuestion("q3", "Three?", None, False, (), ()),
    )
    assert read.documents == 3


def test_queries_of_other_splits_are_left_out_and_counted(beir):
    assert read_folder(beir()).left_out == 1


def test_a_question_said_to_be_answerable_stays_without_judgements(beir):
    read = read_folder(beir(queries=[*QUERIES, {"_id": "q5", "text": "Five?", "answerable": True, "answer": "5"}]))

    assert read.questions[-1] == EvalQuestion("q5", "Five?", None, True, (), ("5",))


def test_the_qrels_may_stand_in_a_folder_of_splits(beir):
    assert read_folder(beir(qrels_name="qrels/test.tsv")) is not None


def test_a_byte_order_mark_crlf_and_blank_lines_change_nothing(beir):
    plain = beir()
    expected = read_folder(plain)
    for path in plain.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\n")

    assert read_folder(plain) == expected


def test_ids_may_be_numbers_and_titles_may_be_missing(beir):
    folder = beir(corpus=[{"_id": 7, "text": ""}], queries=[{"_id": 1, "text": "?"}], qrels=[(1, 7, 1)])

    assert list(documents(folder)) == [BeirDocument("7", "", "")]
    assert read_folder(folder).questions[0].gold == (GoldDocument("7", 1),)


def test_the_documents_are_read_as_they_are_asked_for(beir):
    lines = documents(beir(corpus=[*CORPUS, "{"]))

    assert [next(lines).id for _ in range(3)] == ["d1", "d2", "d3"]
    with pytest.raises(DatasetError, match=r"small/corpus\.jsonl, line 4: not JSON"):
        next(lines)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"corpus": [*CORPUS, "{"]}, r"small/corpus.jsonl, line 4: not JSON"),
        ({"corpus": [*CORPUS, "[" * 100_000]}, r"corpus.jsonl, line 4: not JSON that can be read"),
        ({"corpus": [*CORPUS, "[]"]}, r"corpus.jsonl, line 4: expected an object, not list"),
        ({"corpus": [*CORPUS, CORPUS[0]]}, r"corpus.jsonl, line 4: _id 'd1' is used twice"),
        ({"corpus": [*CORPUS, {"_id": "d4"}]}, r"corpus.jsonl, line 4: missing text"),
        ({"corpus": [*CORPUS, {"text": "?"}]}, r"corpus.jsonl, line 4: missing _id"),
        ({"corpus": [*CORPUS, {"_id": True, "text": "?"}]}, r"corpus.jsonl, line 4: '_id' must be str, not bool"),
        ({"corpus": jsonl(CORPUS).encode() + b"\xff\n"}, r"corpus.jsonl, line 4: 'utf-8' codec"),
        ({"corpus": jsonl(CORPUS).encode("utf-16")}, r"corpus.jsonl, line 1: 'utf-8' codec"),
        ({"corpus": b""}, r"small/corpus.jsonl: no documents"),
        ({"queries": b"\n"}, r"small/queries.jsonl: no queries"),
        ({"queries": [*QUERIES, QUERIES[0]]}, r"queries.jsonl, line 5: _id 'q1' is used twice"),
        ({"queries": [*QUERIES, {"_id": "q5", "text": " "}]}, r"queries.jsonl, line 5: 'text' is empty"),
        ({"queries": [{**QUERIES[0], "answerable": "yes"}]}, r"line 1: 'answerable' must be bool, not str"),
        ({"queries": [{**QUERIES[0], "answers": "one"}]}, r"line 1: 'answers' must be list, not str"),
        ({"queries": [{**QUERIES[0], "answers": [1]}]}, r"line 1: an answer must be str, not int"),
        ({"queries": [{**QUERIES[0], "answerable": False}]}, r"queries.jsonl, line 1: not answerable, but it has"),
        ({"qrels": []}, r"small/qrels.tsv: no judgements"),
        ({"qrels": [*QRELS, ("q9", "d1", 1)]}, r"qrels.tsv, line 6: query 'q9' is not in queries.jsonl"),
        ({"qrels": [*QRELS, ("q1", "d9", 1)]}, r"qrels.tsv, line 6: document 'd9' is not in corpus.jsonl"),
        ({"qrels": [*QRELS, ("q1", "d1", 2)]}, r"qrels.tsv, line 6: 'd1' was graded 1 for 'q1' in line 2"),
        ({"qrels": [("q1", "d1", "high")]}, r"qrels.tsv, line 2: the score must be a whole number, not 'high'"),
        ({"qrels": [("q1", "d1")]}, r"qrels.tsv, line 2: expected 3 fields with tabs between them, not 2"),
        ({"qrels": [("q1", "", 1)]}, r"qrels.tsv, line 2: an id is empty"),
        ({"qrels": [("q1", "d1", 0)], "queries": QUERIES[1:2] + [{"_id": "q1", "text": "?"}]}, "small: no query has"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_line(beir, parts, message):
    with pytest.raises(DatasetError, match=message):
        read_folder(beir(**parts))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("corpus.jsonl", "cannot read .*corpus.jsonl: No such file"),
        ("qrels.tsv", "neither qrels.tsv nor qrels/test.tsv"),
    ],
)
def test_a_missing_file_is_named(beir, name, message):
    folder = beir()
    (folder / name).unlink()

    with pytest.raises(DatasetError, match=message):
        read_folder(folder)
