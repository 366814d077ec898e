import json

import pytest

from evals.dataset import SHIPPED, load_dataset
from evals.lines import DatasetError
from evals.tests.conftest import CORPUS, QRELS, QUERIES


def test_a_shipped_set_is_loaded_by_its_name():
    dataset = load_dataset("django-topics")

    assert (dataset.name, len(dataset.questions), dataset.folder) == ("django-topics", 30, None)
    assert dataset == load_dataset(str(SHIPPED / "django-topics.jsonl"))


def test_a_folder_is_loaded_under_its_own_name(beir):
    folder = beir()

    dataset = load_dataset(str(folder))

    assert (dataset.name, dataset.folder, dataset.documents, dataset.left_out) == ("small", folder, 3, 1)
    assert [question.id for question in dataset.questions] == ["q1", "q2", "q3"]


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(DatasetError, match="no data set 'x': neither a folder nor one of django-topics"):
        load_dataset("x")


def test_the_hash_is_that_of_the_content_not_of_its_spelling(beir):
    folder = beir()
    before = load_dataset(str(folder)).sha256
    for name in ("corpus.jsonl", "queries.jsonl"):
        rows = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        spelt = [json.dumps(dict(reversed(row.items())), separators=(",", ":")) for row in rows]
        (folder / name).write_bytes("\r\n".join(spelt).encode())

    assert load_dataset(str(folder)).sha256 == before


@pytest.mark.parametrize(
    "parts",
    [
        {"corpus": [*CORPUS[:2], {**CORPUS[2], "text": "changed"}]},
        {"corpus": CORPUS[::-1]},
        {"queries": [{**QUERIES[0], "answers": ["eins"]}, *QUERIES[1:]]},
        {"qrels": [("q1", "d1", 2), *QRELS[1:]]},
    ],
)
def test_the_hash_changes_with_documents_questions_answers_and_grades(beir, tmp_path, parts):
    original = beir()
    before = load_dataset(str(original)).sha256
    original.rename(tmp_path / "original")

    assert load_dataset(str(beir(**parts))).sha256 != before
