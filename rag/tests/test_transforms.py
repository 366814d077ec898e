"""From a question to searches: what the small model is asked, and how strictly its words are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.texts import PromptText
from rag.errors import ProviderTimeout
from rag.modules import AUTO
from rag.providers.contracts import ChatRequest, Message
from rag.tests.doubles import ScriptedChat, said
from rag.transforms import MAX_LINES, Transformer, parsed_lines, simple
from rag.values import Searches

QUESTION = "Why is my page slow?"
NAMES = ("choose", "hyde", "multi_query", "decompose")
PROMPTS = {name: PromptText(name, "v1", f"Do {name}.", "", "") for name in NAMES}


@pytest.fixture
def chat() -> ScriptedChat:
    return ScriptedChat()


def transformer(chat: ScriptedChat, *, temperature: float | None = 0.0) -> Transformer:
    return Transformer(chat=chat, model="claude-small", temperature=temperature, prompts=PROMPTS)


def test_simple_asks_nobody(chat: ScriptedChat) -> None:
    searches = transformer(chat).searches(QUESTION, "simple")

    assert searches == Searches("simple", (QUESTION,), (QUESTION,)) == simple(QUESTION)
    assert chat.history == []


def test_hyde_searches_vectors_with_the_passage_and_words_with_the_question(chat: ScriptedChat) -> None:
    chat.enqueue(said("  Pages are cached by the middleware.\n"))

    searches = transformer(chat).searches(QUESTION, "hyde")

    passage = "Pages are cached by the middleware."
    assert searches == Searches("hyde", (QUESTION,), (passage,), hypothetical=passage)


def test_an_empty_passage_falls_back_to_the_question(chat: ScriptedChat) -> None:
    chat.enqueue(said(" \n"))

    assert transformer(chat).searches(QUESTION, "hyde") == simple(QUESTION)


@pytest.mark.parametrize("transform", ["multi_query", "decompose"])
def test_the_question_itself_is_always_among_the_searches(chat: ScriptedChat, transform: str) -> None:
    chat.enqueue(said("slow page\npage latency"))

    searches = transformer(chat).searches(QUESTION, transform)

    queries = (QUESTION, "slow page", "page latency")
    assert searches == Searches(transform, queries, queries, sub_queries=("slow page", "page latency"))


def test_a_rewrite_that_repeats_the_question_is_searched_once(chat: ScriptedChat) -> None:
    chat.enqueue(said(f"{QUESTION}\nslow page"))

    assert transformer(chat).searches(QUESTION, "multi_query").lexical == (QUESTION, "slow page")


def test_rewriting_to_nothing_leaves_the_question(chat: ScriptedChat) -> None:
    chat.enqueue(said("\n\n"))

    searches = transformer(chat).searches(QUESTION, "decompose")

    assert (searches.lexical, searches.dense, searches.sub_queries) == ((QUESTION,), (QUESTION,), ())


@pytest.mark.parametrize("reply", ["hyde", "hyde\n", " HYDE. ", '"hyde"', "`hyde`"])
def test_the_choice_is_read_in_any_dress(chat: ScriptedChat, reply: str) -> None:
    chat.enqueue(said(reply), said("A passage."))

    assert transformer(chat).searches(QUESTION, AUTO).transform == "hyde"


@pytest.mark.parametrize("reply", ["", "hyde, because it is vague", "auto", "choose", "ignore", "multi query"])
def test_any_other_choice_is_simple(chat: ScriptedChat, reply: str) -> None:
    chat.enqueue(said(reply))

    assert transformer(chat).searches(QUESTION, AUTO) == simple(QUESTION)
    assert len(chat.history) == 1


@pytest.mark.parametrize("name", ["hyde", "multi_query", "decompose"])
def test_it_sends_the_active_prompt_and_the_fenced_question(chat: ScriptedChat, name: str) -> None:
    chat.enqueue(said("words"))

    transformer(chat).searches("</question> x", name)

    request = chat.history[0]
    assert (request.model, request.system, request.temperature) == ("claude-small", (f"Do {name}.",), 0.0)
    assert request.messages == (Message("user", "<question>&lt;/question> x</question>"),)
    assert 0 < request.max_tokens <= 250


def test_the_choice_may_be_one_word_long(chat: ScriptedChat) -> None:
    chat.enqueue(said("simple"))

    transformer(chat, temperature=None).searches(QUESTION, AUTO)

    assert chat.history == [
        ChatRequest("claude-small", ("Do choose.",), (Message("user", f"<question>{QUESTION}</question>"),), 8, None)
    ]


def test_a_failing_provider_is_the_callers_to_handle(chat: ScriptedChat) -> None:
    chat.enqueue(ProviderTimeout("late", provider="anthropic"))

    with pytest.raises(ProviderTimeout):
        transformer(chat).searches(QUESTION, AUTO)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("- a\n* b\n• c", ("a", "b", "c")),
        ("1. a\n2) b\n 10. c", ("a", "b", "c")),
        ("a\n\n  \nb", ("a", "b")),
        ("a\na\nb", ("a", "b")),
        ("1\n2\n3\n4\n5\n6", ("1", "2", "3", "4")),
        ("-\n- ", ()),
        ("", ()),
    ],
)
def test_lines_lose_their_bullets_and_numbers(text: str, lines: tuple[str, ...]) -> None:
    assert parsed_lines(text) == lines


@pytest.mark.parametrize("line", ["5.2 release notes", "--fake option of migrate", "*args in a signature", "3.11"])
def test_a_query_that_begins_like_a_bullet_stays_whole(line: str) -> None:
    assert parsed_lines(f"1. {line}") == (line,)
    assert parsed_lines(line) == (line,)


@given(text=st.text(max_size=200))
def test_lines_are_few_different_and_not_empty(text: str) -> None:
    lines = parsed_lines(text)

    assert len(lines) <= MAX_LINES
    assert len(set(lines)) == len(lines)
    assert all(line.strip() == line and line for line in lines)
