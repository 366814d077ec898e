"""Looking up the text that serves, or that once served."""

import pytest

from prompts.models import Prompt
from prompts.publishing import bump
from prompts.texts import PromptText, content_hash
from prompts.versions import UnknownPromptVersion, active_texts, text_of

pytestmark = pytest.mark.django_db


def test_every_shipped_prompt_has_an_active_text() -> None:
    assert set(active_texts()) == {"answer", "choose", "decompose", "follow_up", "hyde", "judge", "multi_query"}


def test_a_prompt_that_was_never_activated_has_no_active_text() -> None:
    prompt = Prompt.objects.create(name="summary", purpose="Sums up.")
    bump(prompt=prompt, instructions="Sum up.", examples="", note="new", author=None)

    assert "summary" not in active_texts()


def test_the_active_texts_take_one_query(django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        active_texts()


def test_it_finds_a_version_that_is_not_active() -> None:
    prompt = Prompt.objects.get(name="hyde")
    version = bump(prompt=prompt, instructions="Write a passage.", examples="One.", note="n", author=None).version

    text = text_of(name="hyde", version="v2")

    assert text == PromptText("hyde", "v2", "Write a passage.", "One.", version.content_hash)


@pytest.mark.parametrize(
    ("name", "version"),
    [("hyde", "v2"), ("hyde", "v0"), ("hyde", ""), ("hyde", "latest"), ("hyde", "v-1"), ("nobody", "v1")]
    + [("hyde", f"v{10**30}")],
)
def test_it_says_which_version_is_unknown(name: str, version: str) -> None:
    with pytest.raises(UnknownPromptVersion, match=f"{name}.*{version}"):
        text_of(name=name, version=version)


def test_empty_blocks_are_left_out_of_the_system_prompt() -> None:
    assert PromptText("hyde", "v1", "Write.", "", "").system_blocks() == ("Write.",)
    assert PromptText("hyde", "v1", "Write.", "One.", "").system_blocks() == ("Write.", "One.")


def test_the_hash_tells_which_block_a_line_stands_in() -> None:
    assert content_hash(instructions="ab", examples="c") != content_hash(instructions="a", examples="bc")
