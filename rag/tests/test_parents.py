"""Small chunks are found, their parents are sent: in rankings, and in what the pipeline makes of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.chunking.keys import parent_key
from rag.finding import Retrieval
from rag.modules import MODULES, Module
from rag.retrieval.parents import as_sent, best_children, found_children
from rag.tests.doubles import FakeDense, FakeLexical, FakePassages, hits, ordered, passage, said
from rag.tests.test_pipeline import QUESTION, World, keys
from rag.tests.trace_lines import trace_line
from rag.trace_view import trace_page
from rag.values import Hit, Searches

A, B, C = "leave/a#0", "leave/a#1", "travel/c#0"
KEYS = st.sampled_from([f"s/x#{parent}.{child}" for parent in range(4) for child in range(3)])
RANKINGS = st.lists(KEYS, unique=True, max_size=12).map(lambda found: hits(*found))


@given(ranking=RANKINGS, limit=st.integers(1, 5))
def test_of_each_parent_the_first_child_stays_in_order(ranking: tuple[Hit, ...], limit: int) -> None:
    kept = best_children(ranking, limit=limit)

    parents = list(dict.fromkeys(parent_key(hit.key) for hit in ranking))[:limit]
    assert [parent_key(hit.key) for hit in kept] == parents
    assert all(next(h for h in ranking if parent_key(h.key) == parent_key(hit.key)) == hit for hit in kept)


@given(one=RANKINGS, other=RANKINGS)
def test_the_found_child_is_that_of_the_best_rank_in_any_ranking(one: tuple[Hit, ...], other: tuple[Hit, ...]) -> None:
    ranks: dict[str, list[tuple[int, int, str]]] = {}
    for number, ranking in enumerate((one, other)):
        for rank, hit in enumerate(ranking):
            ranks.setdefault(parent_key(hit.key), []).append((rank, number, hit.key))

    assert found_children((one, other)) == {parent: min(places)[2] for parent, places in ranks.items()}


def test_chunks_without_parents_are_sent_as_they_were_found() -> None:
    ranking = hits(A, B, C)

    assert best_children(ranking, limit=2) == ranking[:2]
    assert as_sent((ranking,)) == (ranking,)
    assert found_children((ranking,)) == {}


def test_two_children_of_one_parent_agree() -> None:
    searches = Searches("simple", ("q",), ("q",))
    words = [f"{parent}.1" for parent in (A, B, C)]
    vectors = [*(f"{parent}.0" for parent in (A, B, C)), *(f"other/x#{number}.0" for number in range(7))]

    retrieval = Retrieval(searches, (hits(*vectors),), (hits(*words),), (), of_children=True)

    assert retrieval.agreement() == 3


def world(module: Module, *, dense: tuple[Hit, ...], lexical: tuple[Hit, ...] = ()) -> World:
    """A world whose indexes find children, and whose rows hold the parents."""
    made = World(replace(module, chunker="hierarchical"))
    made.dense = FakeDense(dense, calls=made.calls)
    made.lexical = FakeLexical({QUESTION: lexical}, calls=made.calls)
    made.passages = FakePassages(*map(passage, (A, B, C)))
    return made


def test_the_parents_are_sent_once_each_in_the_order_of_their_best_children() -> None:
    told = world(MODULES["m1-baseline"], dense=hits(f"{B}.2", f"{A}.0", f"{B}.0", f"{A}.1", f"{C}.0"))
    told.chat.enqueue(said(f"On 31 March [{A}]."))

    outcome = told.answer()

    assert keys(outcome) == [B, A, C]
    assert outcome.answer.citations == (A,)
    assert [source.found for source in outcome.sources] == [f"{B}.2", f"{A}.0", f"{C}.0"]
    assert f"{A}.0" not in repr(told.chat.history[0].messages)


def test_the_trace_shows_which_child_was_found() -> None:
    told = world(MODULES["m1-baseline"], dense=hits(f"{B}.2", f"{A}.0", f"{B}.0"))
    told.chat.enqueue(said(f"On 31 March [{A}]."))

    outcome = told.answer()
    told.trace.sources = outcome.sources
    line = told.trace.as_line()

    assert [hit["id"] for hit in line["vector_candidates"]] == [f"{B}.2", f"{A}.0"]
    assert [hit["id"] for hit in line["fused_top_20"]] == [B, A]
    assert [(source["id"], source["found"]) for source in line["sources"]] == [(B, f"{B}.2"), (A, f"{A}.0")]


def test_siblings_do_not_take_the_places_of_other_parents() -> None:
    siblings = [f"{A}.{number}" for number in range(4)]
    told = world(replace(MODULES["m1-baseline"], vector_candidates=3), dense=hits(*siblings, f"{B}.0", f"{C}.0"))
    told.chat.enqueue(said("None."))

    assert keys(told.answer()) == [A, B, C]
    assert told.dense.history[0][1] == 12


def test_a_parent_that_both_indexes_found_by_different_children_is_fused_as_one() -> None:
    told = world(
        MODULES["m3-hybrid"], dense=hits(f"{C}.0", f"{A}.0", f"{B}.0"), lexical=hits(f"{B}.3", f"{A}.5", f"{B}.1")
    )
    told.reranker.enqueue(ordered((0, 0.9), (1, 0.8), (2, 0.7)))
    told.chat.enqueue(said("None."))

    outcome = told.answer()

    fused = [hit.key for hit in told.trace.fused]
    assert sorted(fused) == [A, B, C]
    assert keys(outcome) == fused
    assert {source.passage.key: source.found for source in outcome.sources} == {B: f"{B}.3", A: f"{A}.0", C: f"{C}.0"}
    assert told.reranker.history[0].documents[0].endswith("Leave lapses on 31 March.")


@pytest.mark.parametrize("module", ["m1-baseline", "m3-hybrid"])
def test_a_parent_that_the_rows_do_not_hold_is_not_sent(module: str) -> None:
    told = world(MODULES[module], dense=hits(f"{A}.0", "gone/x#0.0"))
    told.reranker.enqueue(ordered((0, 0.9)))
    told.chat.enqueue(said("None."))

    assert keys(told.answer()) == [A]


def test_the_page_of_a_trace_ties_a_child_to_the_parent_that_was_sent() -> None:
    found = {"id": f"{A}.2", "score": 0.9}, {"id": f"{B}.0", "score": 0.8}
    source = {"id": A, "title": "Leave", "score": 0.9, "sha256": "0", "found": f"{A}.2"}

    page = trace_page(
        line=trace_line(
            vector_candidates=list(found), fused_top_20=[{"id": A, "score": 0.9}], sources=[source], citations=[A]
        ),
        live={},
    )

    child, other = page.stages[0].candidates
    (parent,) = page.stages[2].candidates
    assert (child.group, child.source, child.cited) == (parent.group, 1, True) == (page.sources[0].group, 1, True)
    assert (other.source, other.group == parent.group) == (None, False)
    assert page.sources[0].found == f"{A}.2"
