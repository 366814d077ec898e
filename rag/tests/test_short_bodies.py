import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.api.serializers import DEFAULTS, AskSerializer, needs_no_form

NAMES = st.one_of(
    st.text(max_size=45),
    st.text("abcXYZ019._-", max_size=41),
    st.sampled_from(["", " ", "m6 ", "M6", "a\n", "handbook", "ſ"]),
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "question": st.one_of(st.text(max_size=30), st.just("a" * 2001), st.none(), st.integers()),
        "corpus": st.one_of(NAMES, st.none(), st.booleans()),
        "module": NAMES,
        "top_k": st.integers(),
        "sessions": st.text(),
    },
)


@given(BODIES)
def test_what_needs_no_form_is_what_the_form_makes_of_it(body):
    if needs_no_form(body):
        assert {**DEFAULTS, **body} == AskSerializer().run_validation(body)


@pytest.mark.parametrize(
    "body",
    [
        {"question": "How many days?"},
        {"question": "Combien de jours ? 何日", "corpus": "handbook", "module": "m6"},
        {"question": "How many days?", "module": "m6-production"},
    ],
)
def test_a_plain_question_needs_none(body):
    assert needs_no_form(body)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "question",
        {},
        {"corpus": "handbook"},
        {"question": ""},
        {"question": "a\x00b"},
        {"question": "a", "corpus": ""},
        {"question": "a", "corpus": "handbook\n"},
        {"question": "a", "module": None},
        {"question": "a", "stream": True},
        {"question": "a", "unknown": "b"},
    ],
)
def test_anything_else_goes_to_the_form(body):
    assert not needs_no_form(body)
