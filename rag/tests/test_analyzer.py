from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.retrieval.analyzer import CACHED_WORDS, LONGEST_WORD, STOP_WORDS, Analyzer

PLAIN = Analyzer(identifiers=False, stop_words=False, stemming=False)
IDENTIFIERS = Analyzer(identifiers=True, stop_words=False, stemming=False)
WHOLE = Analyzer()


def test_it_folds_case():
    assert PLAIN("Straße QUERY Query") == ["strasse", "query", "query"]


def test_it_keeps_digits():
    assert WHOLE("HTTP 404 in 2026, sha256") == ["http", "404", "2026", "sha256"]


def test_it_reads_composed_and_decomposed_letters_alike():
    assert WHOLE("cafe\u0301 \ufb01le") == WHOLE("caf\u00e9 file")


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("camelCase", ["camelcase", "camel", "case"]),
        ("HTTPServerError", ["httpservererror", "http", "server", "error"]),
        ("snake_case", ["snake_case", "snake", "case"]),
        ("__init__", ["__init__", "init"]),
        ("django.db.models.Q", ["django.db.models.q", "django", "db", "models", "q"]),
        ("forms.ModelForm", ["forms.modelform", "forms", "modelform", "model", "form"]),
        ("cls.as_view", ["cls.as_view", "cls", "as_view", "as", "view"]),
        ("5.2", ["5.2", "5", "2"]),
        ("utf8 URLs", ["utf8", "urls"]),
    ],
)
def test_it_keeps_identifiers_whole_and_in_parts(name, terms):
    assert IDENTIFIERS(name) == terms


def test_it_does_not_split_off_single_letters():
    assert IDENTIFIERS("mRNA of SARS-CoV") == ["mrna", "of", "sars", "cov"]


def test_it_keeps_names_with_underscores_or_dots_without_stem():
    assert WHOLE("running_queries")[0] == "running_queries"
    assert WHOLE("models.queries")[0] == "models.queries"


def test_it_finds_a_camel_case_name_typed_in_small_letters():
    assert WHOLE("querysets")[0] in WHOLE("QuerySet")


def test_it_keeps_an_identifier_made_of_stop_words():
    assert WHOLE("the is_not lookup") == ["is_not", "lookup"]


def test_it_drops_rulers():
    assert WHOLE("____ ... _._") == []


def test_it_drops_stop_words():
    assert WHOLE("What is the price of it?") == ["price"]


def test_it_keeps_stop_words_where_there_is_nothing_else():
    assert WHOLE("To be or not to be?") == ["to", "be", "or", "not", "to", "be"]


def test_it_stems_plain_words():
    assert WHOLE("connections connected connecting") == ["connect"] * 3


def test_it_leaves_words_unstemmed_when_told():
    assert Analyzer(stemming=False)("connections") == ["connections"]


def test_it_cuts_words_without_end():
    assert WHOLE("x" * 10_000) == ["x" * LONGEST_WORD]


def test_it_gives_the_same_terms_after_more_words_than_it_remembers():
    first = PLAIN("word1")

    PLAIN(" ".join(f"word{number}" for number in range(CACHED_WORDS + 10)))

    assert PLAIN("word1") == first


def test_its_fingerprint_differs_by_feature():
    features = [(i, w, s) for i in (True, False) for w in (True, False) for s in (True, False)]

    fingerprints = {Analyzer(*each).fingerprint for each in features}

    assert len(fingerprints) == 8
    assert Analyzer().fingerprint == Analyzer().fingerprint


@given(st.text())
def test_it_takes_any_text(text):
    terms = WHOLE(text)

    assert all(term and term == term.casefold() for term in terms)


@given(st.lists(st.sampled_from(sorted(STOP_WORDS)), min_size=1))
def test_stop_words_alone_never_give_nothing(words):
    assert Analyzer(stemming=False)(" ".join(words)) == words


def test_threads_may_share_it():
    texts = [f"Running{number}Queries connected_{number}" for number in range(500)]
    alone = [Analyzer(stop_words=False)(text) for text in texts]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(WHOLE, texts))

    assert together == alone
