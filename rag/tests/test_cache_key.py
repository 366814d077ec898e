import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.cache import answer_key, normalised
from rag.tests.look_alikes import PAIRS


@pytest.mark.parametrize(
    "spelling",
    [
        "what is a CSRF token",
        "What is a CSRF token?",
        "  What   is a\n\tCSRF token ?? ",
        "“What is a CSRF token?”",
        "Ｗｈａｔ is a CSRF token？",
        "What\u00a0is a CSRF token…",
        "¿What is a CSRF token?",
        "WHAT IS A CSRF TOKEN!",
    ],
)
def test_spelling_does_not_matter(spelling: str) -> None:
    assert normalised(spelling) == "what is a csrf token"


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert normalised("Scho\u0308n?") == normalised("sch\u00f6n")


def test_two_hundred_look_alikes_are_told_apart() -> None:
    assert len(PAIRS) >= 200
    assert [pair for pair in PAIRS if normalised(pair[0]) == normalised(pair[1])] == []


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


def test_the_key_depends_on_the_configuration() -> None:
    one, other = (answer_key("Why?", configuration={"corpus_version": n}) for n in (1, 2))

    assert one != other
    assert one == answer_key("why", configuration={"corpus_version": 1})
