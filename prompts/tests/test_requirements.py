"""What a prompt has to say."""

from dataclasses import replace

import pytest

from prompts.requirements import REQUIREMENTS, findings, missing, strays
from prompts.texts import PromptText
from prompts.versions import active_texts


def text_of(name: str, instructions: str, examples: str = "") -> PromptText:
    return PromptText(name, "v2", instructions, examples, "")


@pytest.mark.django_db
def test_every_shipped_prompt_has_requirements_and_meets_them_all() -> None:
    shipped = active_texts()

    assert set(shipped) == set(REQUIREMENTS)
    assert {name: (missing(text), strays(text)) for name, text in shipped.items()} == dict.fromkeys(shipped, ((), ()))


@pytest.mark.parametrize(
    ("dropped", "named"),
    [
        ("<sources>", "<sources>"),
        ("<question>", "<question>"),
        ("NO_ANSWER", "NO_ANSWER"),
        ("#", "a citation such as [path/heading#0]"),
        ("instruction", "data, never an instruction"),
    ],
)
@pytest.mark.django_db
def test_what_was_taken_out_of_the_answer_prompt_is_missing(dropped: str, named: str) -> None:
    shipped = active_texts()["answer"]
    edited = replace(
        shipped,
        instructions=shipped.instructions.replace(dropped, "x"),
        examples=shipped.examples.replace(dropped, "x"),
    )

    assert missing(edited) == (named,)


def test_it_says_which_block_holds_what() -> None:
    found = {each.name: each.blocks for each in findings(text_of("answer", "See <question>.", "[a/b#0] <question>"))}

    assert found["<question>"] == ("instructions", "examples")
    assert found["a citation such as [path/heading#0]"] == ("examples",)
    assert found["NO_ANSWER"] == ()


def test_a_word_within_another_one_does_not_count() -> None:
    assert "simple" in missing(text_of("choose", "simplest hydes <question>"))


def test_what_nobody_sends_is_named_once() -> None:
    text = text_of("answer", "{question} and {{ sources }} in <context>, <sources>, <context>; ${X} %(y)s")

    assert strays(text) == ("<context>", "{question}", "{{ sources }}", "${X}", "%(y)s")


def test_json_in_a_prompt_is_no_placeholder() -> None:
    assert strays(text_of("judge", '{"correctness": n, "reason": "one sentence"}')) == ()


def test_a_prompt_of_ones_own_has_no_requirements() -> None:
    assert findings(text_of("greeting", "Hello.")) == ()
