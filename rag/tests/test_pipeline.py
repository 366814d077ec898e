"""The story of one question, told with doubles."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from prompts.texts import PromptText
from rag import pipeline
from rag.errors import IndexUnavailable, ProviderBusy, ProviderError, ProviderTimeout
from rag.generate import NOTHING_FOUND
from rag.modules import MODULES, Module
from rag.parts import Models, Parts
from rag.providers.contracts import EmbedRequest, RerankRequest
from rag.retrieval.fusion import relative_score_fusion
from rag.tests.doubles import (
    FakeDense,
    FakeLexical,
    FakePassages,
    ScriptedChat,
    ScriptedEmbedder,
    ScriptedReranker,
    hits,
    ordered,
    passage,
    said,
)
from rag.trace import Trace
from rag.transforms import Transformer
from rag.values import Answer, Hit, Outcome

QUESTION = "When does leave lapse?"
A, B, C, D = "leave/a#0", "leave/b#0", "travel/c#0", "travel/d#0"
MODELS = Models("claude-answer", "voyage-test", 2, "rerank-test", 800, 0.0)
PROMPT = PromptText("answer", "v3", "Answer from the sources.", "", "hash")
TRANSFORMS = {name: PromptText(name, "v1", f"Do {name}.", "", "") for name in ("choose", "hyde", "multi_query")}
M1, M3, M4 = (MODULES[name] for name in ("m1-baseline", "m3-hybrid", "m4-transform"))


@dataclass
class World:
    """Doubles that share one list of calls, around a dense index that finds A, B, C and a lexical one that finds B, D."""

    module: Module = M1
    calls: list[str] = field(default_factory=list)
    dense: FakeDense = field(init=False)
    lexical: FakeLexical = field(init=False)
    passages: FakePassages = field(default_factory=lambda: FakePassages(*map(passage, (A, B, C, D))))

    def __post_init__(self) -> None:
        self.dense = FakeDense(hits(A, B, C), calls=self.calls)
        self.lexical = FakeLexical({QUESTION: hits(B, D)}, calls=self.calls)
        self.embedder = ScriptedEmbedder(self.calls)
        self.reranker = ScriptedReranker(self.calls)
        self.chat = ScriptedChat(self.calls)
        self.small = ScriptedChat(self.calls)
        self.small.name = "transform"
        self.trace = Trace(trace_id="t1", timestamp=datetime(2026, 11, 20, tzinfo=UTC), query=QUESTION)

    def answer(self) -> Outcome:
        parts = Parts(
            module=self.module,
            models=MODELS,
            prompt=PROMPT,
            transformer=Transformer(chat=self.small, model="claude-small", temperature=0.0, prompts=TRANSFORMS),
            embedder=self.embedder,
            dense=self.dense,
            lexical=self.lexical,
            reranker=self.reranker,
            chat=self.chat,
            passages=self.passages,
        )
        return pipeline.answer(QUESTION, parts, self.trace)


def keys(outcome: Outcome) -> list[str]:
    return [source.passage.key for source in outcome.sources]


def test_the_baseline_embeds_searches_and_generates() -> None:
    world = World(M1)
    world.chat.enqueue(said(f"On 31 March [{A}]."))

    outcome = world.answer()

    assert world.calls == ["embed", "dense", "chat"]
    assert outcome.answer == Answer(f"On 31 March [{A}].", True, (A,), 0, "end_turn")
    assert (keys(outcome), outcome.transform, outcome.degraded) == ([A, B, C], "simple", ())


def test_the_hybrid_also_searches_words_and_reranks() -> None:
    world = World(M3)
    world.reranker.enqueue(ordered((2, 0.9), (0, 0.5), (1, 0.1), (3, 0.01)))
    world.chat.enqueue(said("Yes."))

    outcome = world.answer()

    assert world.calls == ["embed", "dense", "lexical", "rerank", "chat"]
    assert keys(outcome) == [D, B, A, C]
    assert [source.score for source in outcome.sources] == [0.9, 0.5, 0.1, 0.01]


def test_the_transform_comes_first() -> None:
    world = World(M4)
    world.small.enqueue(said("simple"))
    world.reranker.enqueue(ordered((0, 0.9), (1, 0.5), (2, 0.1), (3, 0.0)))
    world.chat.enqueue(said("Yes."))

    world.answer()

    assert world.calls == ["transform", "embed", "dense", "lexical", "rerank", "chat"]


def test_every_search_asks_for_the_modules_number_of_candidates() -> None:
    world = World(replace(M3, vector_candidates=2, bm25_candidates=1))
    world.reranker.enqueue(ordered((0, 0.9), (1, 0.5)))
    world.chat.enqueue(said("Yes."))

    world.answer()

    assert world.dense.history == [(((0.0, 0.0),), 2)]
    assert world.lexical.history == [(QUESTION, 1)]


def test_it_embeds_the_question_as_a_query() -> None:
    world = World(M1)
    world.chat.enqueue(said("Yes."))

    world.answer()

    assert world.embedder.history == [EmbedRequest("voyage-test", (QUESTION,), "query", 2)]


def test_the_reranker_reads_what_was_indexed() -> None:
    world = World(replace(M3, top_k=2))
    world.reranker.enqueue(ordered((0, 0.9), (1, 0.5)))
    world.chat.enqueue(said("Yes."))

    world.answer()

    text = "Leave > Carrying over\n\nLeave lapses on 31 March."
    assert world.reranker.history == [RerankRequest("rerank-test", QUESTION, (text,) * 4, 2)]


def test_what_both_indexes_find_is_fused_by_rank() -> None:
    world = World(replace(M3, rerank=False))
    world.chat.enqueue(said("Yes."))

    world.answer()

    assert world.trace.fused == (
        Hit(B, round(1 / 62 + 1 / 61, 8)),
        Hit(A, round(1 / 61, 8)),
        Hit(D, round(1 / 62, 8)),
        Hit(C, round(1 / 63, 8)),
    )


def test_each_index_counts_as_much_as_the_module_says() -> None:
    world = World(replace(M3, rerank=False, dense_weight=0.5, lexical_weight=2.0))
    world.chat.enqueue(said("Yes."))

    world.answer()

    assert world.trace.fused == (
        Hit(B, round(0.5 / 62 + 2 / 61, 8)),
        Hit(D, round(2 / 62, 8)),
        Hit(A, round(0.5 / 61, 8)),
        Hit(C, round(0.5 / 63, 8)),
    )


def test_scores_are_fused_where_the_module_says_so() -> None:
    world = World(replace(M3, rerank=False, fusion="scores", dense_weight=1.0, lexical_weight=3.0))
    world.chat.enqueue(said("Yes."))

    world.answer()

    rankings = (world.trace.vector_candidates, world.trace.bm25_candidates)
    assert world.trace.fused == relative_score_fusion(rankings=rankings, weights=(1.0, 3.0), limit=20)


def test_a_single_ranking_keeps_its_scores() -> None:
    world = World(M1)
    world.chat.enqueue(said("Yes."))

    world.answer()

    assert world.trace.fused == world.trace.vector_candidates == hits(A, B, C)
    assert world.trace.bm25_candidates == world.trace.reranked == ()


def test_several_searches_are_fused() -> None:
    world = World(replace(M1, transform="multi_query"))
    world.dense = FakeDense(hits(A, B), hits(C, B), calls=world.calls)
    world.small.enqueue(said("end of leave"))
    world.chat.enqueue(said("Yes."))

    outcome = world.answer()

    assert world.embedder.history[0].texts == (QUESTION, "end of leave")
    assert keys(outcome) == [B, A, C]
    assert world.trace.vector_candidates == (Hit(A, 1.0), Hit(C, 1.0), Hit(B, 0.5))
    assert (world.trace.transform, world.trace.sub_queries) == ("multi_query", ("end of leave",))


def test_every_wording_is_searched_for_in_words_too() -> None:
    world = World(replace(M3, transform="multi_query", rerank=False))
    world.dense = FakeDense((), (), calls=world.calls)
    world.lexical = FakeLexical({QUESTION: hits(B), "end of leave": hits(D)}, calls=world.calls)
    world.small.enqueue(said("end of leave"))
    world.chat.enqueue(said("Yes."))

    outcome = world.answer()

    assert [query for query, _ in world.lexical.history] == [QUESTION, "end of leave"]
    assert keys(outcome) == [B, D]


def test_hyde_embeds_its_passage_and_keeps_the_words_of_the_question() -> None:
    world = World(replace(M3, transform="hyde", rerank=False))
    world.small.enqueue(said("Leave lapses in spring."))
    world.chat.enqueue(said("Yes."))

    world.answer()

    assert world.embedder.history[0].texts == ("Leave lapses in spring.",)
    assert [query for query, _ in world.lexical.history] == [QUESTION]
    assert world.trace.hypothetical == "Leave lapses in spring."


def test_the_fused_ranking_is_cut_before_the_reranker() -> None:
    world = World(replace(M3, fused_candidates=2, top_k=1))
    world.reranker.enqueue(ordered((1, 0.9)))
    world.chat.enqueue(said("Yes."))

    outcome = world.answer()

    assert len(world.reranker.history[0].documents) == 2
    assert keys(outcome) == [A]


def test_the_model_sees_the_best_top_k() -> None:
    world = World(replace(M1, top_k=2))
    world.chat.enqueue(said("Yes."))

    outcome = world.answer()

    text = world.chat.history[0].messages[0].text
    assert keys(outcome) == [A, B]
    assert [key in text for key in (A, B, C)] == [True, True, False]


def test_ids_that_are_not_live_are_dropped() -> None:
    world = World(M1, passages=FakePassages(passage(B)))
    world.chat.enqueue(said(f"Yes [{A}] [{B}]."))

    outcome = world.answer()

    assert keys(outcome) == [B]
    assert A not in world.chat.history[0].messages[0].text
    assert (outcome.answer.text, outcome.answer.removed) == (f"Yes [{B}].", 1)


def test_dead_ids_do_not_take_the_place_of_live_ones() -> None:
    world = World(replace(M1, top_k=1), passages=FakePassages(passage(C)))
    world.chat.enqueue(said("Yes."))

    assert keys(world.answer()) == [C]


def test_dead_ids_are_not_sent_to_the_reranker() -> None:
    world = World(M3, passages=FakePassages(passage(C), passage(D)))
    world.reranker.enqueue(ordered((1, 0.9), (0, 0.1)))
    world.chat.enqueue(said("Yes."))

    outcome = world.answer()

    assert len(world.reranker.history[0].documents) == 2
    assert sorted(keys(outcome)) == [C, D]


@pytest.mark.parametrize("module", [M1, M3], ids=lambda module: module.name)
def test_nothing_found_is_no_answer_and_costs_no_generation(module: Module) -> None:
    world = World(module, passages=FakePassages())

    outcome = world.answer()

    assert outcome.answer == Answer(NOTHING_FOUND, False, (), 0, None)
    assert outcome.sources == ()
    assert "chat" not in world.calls
    assert "rerank" not in world.calls
    assert (world.trace.final_answer, world.trace.answered) == (NOTHING_FOUND, False)
    assert world.trace.request_sha256 is None


def test_empty_indexes_are_no_answer() -> None:
    world = World(M3)
    world.dense, world.lexical = FakeDense(()), FakeLexical({})

    assert not world.answer().answer.answered


def test_a_no_answer_keeps_its_sources() -> None:
    world = World(M1)
    world.chat.enqueue(said("NO_ANSWER: No date is given."))

    outcome = world.answer()

    assert outcome.answer == Answer("No date is given.", False, (), 0, "end_turn")
    assert keys(outcome) == [A, B, C]


def test_the_trace_holds_the_whole_story() -> None:
    world = World(M3)
    world.reranker.enqueue(ordered((2, 0.123456789), (0, 0.1), (1, 0.05), (3, 0.01)))
    world.chat.enqueue(said(f"Yes [{C}] [x/y#1].", stop_reason="max_tokens"))

    outcome = world.answer()

    trace, request = world.trace, world.chat.history[0]
    assert (trace.transform, trace.hypothetical, trace.sub_queries) == ("simple", None, ())
    assert trace.vector_candidates == hits(A, B, C)
    assert trace.bm25_candidates == hits(B, D)
    assert trace.reranked == (Hit(D, 0.12345679), Hit(B, 0.1), Hit(A, 0.05), Hit(C, 0.01))
    assert trace.sources == outcome.sources
    assert trace.prompt_length_chars == len("Answer from the sources.") + len(request.messages[0].text)
    assert trace.request_sha256 == request.fingerprint()
    assert (trace.final_answer, trace.answered, trace.citations) == (f"Yes [{C}].", True, (C,))
    assert (trace.citations_removed, trace.stop_reason) == (1, "max_tokens")
    assert list(trace.latencies_ms) == ["embed", "vector", "bm25", "rerank", "generate"]


@pytest.mark.parametrize("step", ["small", "embedder", "reranker", "chat"])
def test_a_failing_provider_ends_the_story_and_leaves_its_time(step: str) -> None:
    world = World(M4)
    world.small.enqueue(*([] if step == "small" else [said("simple")]))
    world.reranker.enqueue(*([] if step == "reranker" else [ordered((0, 0.9), (1, 0.5), (2, 0.1), (3, 0.0))]))
    failure = ProviderBusy("slow down", provider="test")
    getattr(world, step).enqueue(failure)

    with pytest.raises(ProviderError) as caught:
        world.answer()

    assert caught.value is failure
    name = {"small": "transform", "embedder": "embed", "reranker": "rerank", "chat": "generate"}[step]
    assert list(world.trace.latencies_ms)[-1] == name


def test_the_request_is_in_the_trace_even_when_the_generation_fails() -> None:
    world = World(M1)
    world.chat.enqueue(ProviderTimeout("late", provider="anthropic"))

    with pytest.raises(ProviderTimeout):
        world.answer()

    assert world.trace.request_sha256 == world.chat.history[0].fingerprint()
    assert len(world.trace.sources) == 3


def test_a_vector_index_that_is_away_ends_the_story_before_any_generation() -> None:
    class Away(FakeDense):
        def search(self, **_: object) -> tuple[tuple[Hit, ...], ...]:
            raise IndexUnavailable("away")

    world = World(M3)
    world.dense = Away()

    with pytest.raises(IndexUnavailable):
        world.answer()

    assert world.calls == ["embed"]


MANY = tuple(f"other/{number}#0" for number in range(10))
"""enough others for an agreement to mean something"""
SPARING = replace(M4, sure_overlap=2, agreed_overlap=2, source_floor=0.6)


def test_when_both_indexes_agree_nothing_is_transformed_or_reranked() -> None:
    world = World(SPARING)
    world.dense = FakeDense(hits(A, B, C, *MANY), calls=world.calls)
    world.lexical = FakeLexical({QUESTION: hits(B, A)}, calls=world.calls)
    world.chat.enqueue(said("Yes."))

    outcome = world.answer()

    assert world.calls == ["embed", "dense", "lexical", "chat"]
    assert (outcome.transform, outcome.degraded) == ("simple", ())
    assert world.trace.economies == ("transform", "rerank")
    assert world.trace.reranked == ()


def test_an_agreement_on_everything_there_is_says_nothing() -> None:
    world = World(replace(M3, agreed_overlap=1))
    world.reranker.enqueue(ordered((0, 0.9), (1, 0.8), (2, 0.7), (3, 0.6)))
    world.chat.enqueue(said("Yes."))

    world.answer()

    assert "rerank" in world.calls


def test_when_they_do_not_agree_the_transform_is_asked_for() -> None:
    world = World(SPARING)
    world.small.enqueue(said("hyde"), said("Leave lapses in spring."))
    world.dense = FakeDense(hits(A, B, C), calls=world.calls)
    world.reranker.enqueue(ordered((0, 0.9), (1, 0.8), (2, 0.7), (3, 0.6)))
    world.chat.enqueue(said("Yes."))

    outcome = world.answer()

    first, then = ["embed", "dense", "lexical"], ["transform", "transform", "embed", "dense", "lexical"]
    assert world.calls == [*first, *then, "rerank", "chat"]
    assert outcome.transform == world.trace.transform == "hyde"


def test_what_was_found_already_is_not_searched_for_again() -> None:
    world = World(SPARING)
    world.small.enqueue(said("simple"))
    world.reranker.enqueue(ordered((0, 0.9), (1, 0.8), (2, 0.7), (3, 0.6)))
    world.chat.enqueue(said("Yes."))

    world.answer()

    assert world.calls == ["embed", "dense", "lexical", "transform", "rerank", "chat"]


def test_the_tail_of_the_reranked_is_not_sent() -> None:
    world = World(replace(M3, source_floor=0.6))
    world.reranker.enqueue(ordered((2, 0.9), (0, 0.6), (1, 0.5), (3, 0.1)))
    world.chat.enqueue(said("Yes."))

    outcome = world.answer()

    assert keys(outcome) == [D, B]
    assert world.trace.economies == ("sources",)


def test_a_transform_that_a_client_names_is_never_saved() -> None:
    world = World(replace(SPARING, transform="hyde"))
    world.dense = FakeDense(hits(A, B, C, *MANY), calls=world.calls)
    world.lexical = FakeLexical({QUESTION: hits(B, A)}, calls=world.calls)
    world.small.enqueue(said("Leave lapses in spring."))
    world.chat.enqueue(said("Yes."))

    assert world.answer().transform == "hyde"
