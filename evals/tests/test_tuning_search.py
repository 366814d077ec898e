"""What is tried, what is chosen of it, and what is shown on the other half: over findings that are written down."""

from dataclasses import replace

import pytest

from evals.questions import EvalQuestion, GoldDocument
from evals.tests.tuning_doubles import M3, Written, weighed
from evals.tuning_questions import Half, halves
from evals.tuning_search import Search
from evals.tuning_space import fusions, price, reranked, routed, sent
from evals.tuning_verdict import confirmed
from rag.modules import Module


def question(number: int, *, gold: bool = True) -> EvalQuestion:
    found = (GoldDocument("d", 1),) if gold else ()
    return EvalQuestion(f"q{number}", "?", None, gold, found, ())


def quiet(stage: str, done: int, total: int) -> None: ...


def likes_words(module: Module, half: Half, number: int) -> float:
    """Finds the more, the more BM25 counts."""
    return float(number < 20 * module.lexical_weight / (module.dense_weight + module.lexical_weight))


def likes_vectors(module: Module, half: Half, number: int) -> float:
    return 1.0 - likes_words(module, half, 19 - number)


class TestHalves:
    def test_every_question_is_in_one_of_two_equal_halves(self) -> None:
        dealt = halves("set", [question(number) for number in range(31)], None)

        ids = [[each.id for each in half] for half in dealt.values()]
        assert sorted(ids[0] + ids[1]) == sorted(f"q{number}" for number in range(31))
        assert [len(half) for half in ids] == [16, 15]

    def test_the_half_does_not_depend_on_the_place_in_the_file(self) -> None:
        questions = [question(number) for number in range(20)]

        assert halves("set", questions, None) == halves("set", questions[::-1], None)
        assert halves("set", questions, None) != halves("other", questions, None)

    def test_questions_without_gold_are_in_neither(self) -> None:
        dealt = halves("set", [question(number, gold=number % 2 == 0) for number in range(10)], None)

        assert sum(map(len, dealt.values())) == 5

    def test_a_smaller_limit_takes_some_of_the_same(self) -> None:
        questions = [question(number) for number in range(40)]
        few, all_of_them = halves("set", questions, 10), halves("set", questions, None)

        assert [len(half) for half in few.values()] == [5, 5]
        assert all(set(few[half]) <= set(all_of_them[half]) for half in Half)


class TestSpace:
    def test_no_fusion_costs_a_call_more(self) -> None:
        tried = list(fusions(M3))

        assert len(set(tried)) == len(tried) == 88
        assert {(module.rerank, module.transform) for module in tried} == {(False, "simple")}

    def test_no_more_is_reranked_than_one_search_can_find(self) -> None:
        assert [module.fused_candidates for module in reranked(M3)] == [10, 20]
        assert all(module.rerank for module in reranked(M3))

    def test_of_equals_the_one_with_fewer_calls_is_cheaper(self) -> None:
        plain, always, unsure = routed(M3)

        assert price(plain) < price(unsure) < price(always)
        assert price(replace(plain, rerank=False)) < price(plain)

    def test_a_floor_is_tried_only_where_there_are_scores_for_it(self) -> None:
        assert len(list(sent(M3))) == 15
        assert len(list(sent(replace(M3, rerank=False)))) == 3


class TestSearch:
    def test_it_finds_the_best_weights(self) -> None:
        found = Search([Written("words", likes_words)], weighed(0.3), quiet).whole(["structural"])

        assert (found.dense_weight, found.lexical_weight) == (0.0, 1.0)

    def test_it_never_looks_at_the_confirming_half(self) -> None:
        collection = Written("words", likes_words)
        search = Search([collection], M3, quiet)
        search.whole(["structural"])
        search.for_one_corpus()
        search.sources()

        assert {half for _, half in collection.asked} == {Half.SEARCH}

    def test_what_one_collection_loses_another_cannot_pay_for(self) -> None:
        collections = [Written("words", likes_words, questions=400), Written("vectors", likes_vectors)]

        found = Search(collections, M3, quiet).whole(["structural"])

        assert found.lexical_weight == found.dense_weight

    def test_where_the_incumbent_reranks_so_does_what_is_found_for_all(self) -> None:
        def dislikes_reranking(module: Module, half: Half, number: int) -> float:
            return likes_words(module, half, number) * (0.5 if module.rerank else 1.0)

        search = Search([Written("words", dislikes_reranking)], weighed(0.3), quiet)

        assert search.whole(["structural"]).rerank
        assert not search.for_one_corpus().rerank

    def test_a_single_corpus_keeps_chunker_transform_and_sources(self) -> None:
        incumbent = replace(weighed(0.3), transform="auto", sure_overlap=2, source_floor=0.4, top_k=4)

        found = Search(
            [Written("words", likes_words, recipes=("fixed", "structural"))], incumbent, quiet
        ).for_one_corpus()

        assert found.lexical_weight == 1.0
        kept = ("chunker", "transform", "sure_overlap", "source_floor", "top_k")
        assert [getattr(found, name) for name in kept] == [getattr(incumbent, name) for name in kept]

    def test_another_chunker_is_chosen_where_it_finds_more(self) -> None:
        def likes_fixed(module: Module, half: Half, number: int) -> float:
            return float(number < (15 if module.chunker == "fixed" else 10))

        assert Search([Written("set", likes_fixed)], M3, quiet).whole(["fixed", "structural"]).chunker == "fixed"

    def test_the_incumbent_stays_where_nothing_finds_more(self) -> None:
        search = Search([Written("set", lambda module, half, number: 1.0)], weighed(0.5), quiet)

        found = search.whole(["structural"])

        assert price(found) <= price(search.incumbent)
        assert search.mean(found) == search.mean(search.incumbent)

    def test_sources_are_left_out_while_the_gold_stays(self) -> None:
        def floor_hurts(module: Module, half: Half, number: int) -> float:
            return float(module.source_floor <= 0.6)

        assert Search([Written("set", floor_hurts)], M3, quiet).sources().source_floor == 0.6


class TestVerdict:
    def test_what_finds_more_on_the_confirming_half_wins(self) -> None:
        verdict = confirmed([Written("words", likes_words)], weighed(0.3), weighed(0.9))

        assert verdict.wins
        assert verdict.comparison.difference == pytest.approx(0.6)
        assert (verdict.by_dataset["words"].before, verdict.by_dataset["words"].after) == (0.3, 0.9)

    def test_what_found_more_on_the_searching_half_alone_does_not(self) -> None:
        def lucky(module: Module, half: Half, number: int) -> float:
            return likes_words(module, half, number) if half is Half.SEARCH else 0.5

        assert not confirmed([Written("set", lucky)], weighed(0.3), weighed(0.9)).wins

    def test_a_few_questions_more_are_not_enough(self) -> None:
        assert not confirmed([Written("words", likes_words)], weighed(0.5), weighed(0.6)).wins

    def test_a_data_set_that_gets_worse_stops_it(self) -> None:
        collections = [Written("words", likes_words, questions=200), Written("vectors", likes_vectors)]

        verdict = confirmed([collections[0]], weighed(0.3), weighed(0.9))
        both = confirmed(collections, weighed(0.3), weighed(0.9))

        assert verdict.comparison.difference
        assert both.by_dataset["vectors"].worse
        assert not both.wins
