"""Structural chunks: the property that nothing is lost, and the shape of what comes out."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.chunking.cutting import cut
from rag.values import ChunkDraft, ChunkRecipe, ParsedDocument

FRAGMENTS = st.sampled_from(
    [
        *("# Title", "## Part", "Part\n----", "====\nTop\n====", "```\ncode\n```", "```", "---", "#", "..", "\t"),
        *(
            ".. note::\n\n    Mind this.\n",
            ".. _label:",
            "Look::",
            "    x = 1",
            ".. code-block:: python\n\n    x = 1\n",
        ),
        *("- one\n- two", "* a\n\n  b", "1. x", "| a | b |\n|---|---|\n| 1 | 2 |", "===  ===\na    b\n===  ==="),
        *(
            "+---+\n| a |\n+---+",
            "!!! note\n    body",
            ">>> 1 + 1\n2",
            "Some words. And more of them.",
            "\u2028",
            "\u00a0",
        ),
    ]
)
TEXTS = st.lists(FRAGMENTS | st.text(max_size=30), max_size=30).map("\n".join)


def parsed(text: str, markup: str = "markdown") -> ParsedDocument:
    return ParsedDocument(source="guide/start", title="Start", text=text, markup=markup)


def cut_text(text: str, markup: str = "markdown", size: int = 1800) -> tuple[ChunkDraft, ...]:
    return cut(document=parsed(text, markup), recipe=ChunkRecipe("structural", size))


@given(text=TEXTS, markup=st.sampled_from(["markdown", "rst", "plain"]), size=st.integers(1, 200))
def test_every_character_that_is_not_blank_is_in_exactly_one_chunk(text, markup, size):
    chunks = cut_text(text, markup, size)

    covered = [offset for chunk in chunks for offset in range(chunk.start, chunk.end)]
    assert covered == sorted(set(covered))
    assert {offset for offset, character in enumerate(text) if not character.isspace()} <= set(covered)


@given(text=TEXTS, markup=st.sampled_from(["markdown", "rst", "plain"]), size=st.integers(1, 200))
def test_every_chunk_is_its_span_and_fits_the_size_and_has_its_own_key(text, markup, size):
    chunks = cut_text(text, markup, size)

    assert all(chunk.text == text[chunk.start : chunk.end] and chunk.text.strip() for chunk in chunks)
    assert all(len(chunk.text) <= size for chunk in chunks)
    assert len({chunk.key for chunk in chunks}) == len(chunks)


def test_it_gives_the_path_of_headings_from_the_title_down():
    words = "word " * 200

    chunks = cut_text(f"# Start\n\n{words}\n\n## Install\n\n{words}\n\n### With pip\n\n{words}\n\n## Use\n\n{words}")

    assert [chunk.heading for chunk in chunks] == [
        "Start",
        "Start > Install",
        "Start > Install > With pip",
        "Start > Use",
    ]


def test_it_names_a_chunk_after_its_deepest_heading_and_counts():
    text = "# Start\n\n## Caf\u00e9 & Bar\n\n" + "A sentence of words. " * 200

    chunks = cut_text(text)

    assert [chunk.key for chunk in chunks] == [f"guide/start/cafe-bar#{number}" for number in range(len(chunks))]
    assert len(chunks) == 3


def test_a_heading_without_ascii_letters_still_has_a_slug():
    chunks = cut_text("# \u5b89\u88c5\n\n" + "word " * 100)

    assert [chunk.key for chunk in chunks] == ["guide/start/section#0"]


def test_it_ignores_headings_inside_fenced_code():
    code = "```bash\n# not a heading\necho hello\n```"

    chunks = cut_text(f"# Start\n\nRun:\n\n{code}\n")

    assert [chunk.heading for chunk in chunks] == ["Start"]
    assert code in chunks[0].text


@pytest.mark.parametrize(
    ("markup", "block"),
    [
        ("markdown", "```python\n" + "x = 1\n\n" * 40 + "```"),
        ("markdown", "| a | b |\n| --- | --- |\n" + "| 1 | 2 |\n" * 30),
        ("markdown", "- first\n\n  more of it\n" + "- next\n" * 40),
        ("rst", ".. code-block:: python\n    :caption: x\n\n" + "    x = 1\n\n" * 30),
        ("rst", ".. note::\n\n" + "    Mind the gap, and the platform.\n\n" * 8),
        ("rst", "=====  =====\na      b\n=====  =====\n" + "1      2\n\n" * 20 + "=====  ====="),
        ("rst", "+---+---+\n" + "| 1 | 2 |\n+---+---+\n" * 14),
        ("rst", "* first\n\n  more of it\n" + "* next\n" * 40),
    ],
)
def test_it_keeps_a_block_whole(markup, block):
    before, after = "Before it. " * 25, "After it. " * 25

    chunks = cut_text(f"{before}\n\n{block}\n\n{after}", markup, size=420)

    assert any(block.strip() in chunk.text for chunk in chunks)


def test_it_keeps_a_literal_block_with_the_sentence_that_announces_it():
    code = "    a = 1\n\n    b = 2\n" * 8

    chunks = cut_text("Words before. " * 20 + f"\n\nSet them::\n\n{code}\n\nWords after.", "rst", size=300)

    assert any("Set them::" in chunk.text and code.rstrip() in chunk.text for chunk in chunks)


def test_it_cuts_code_larger_than_a_chunk_at_line_ends():
    code = "\n".join(f"line_{number} = {number}" for number in range(300))

    chunks = cut_text(f"```\n{code}\n```", size=500)

    assert all(chunk.text.splitlines()[-1] in f"```\n{code}".splitlines() for chunk in chunks)
    assert len(chunks) > 5


def test_it_cuts_prose_larger_than_a_chunk_at_sentence_ends():
    chunks = cut_text("This is a sentence of some length. " * 100, "plain", size=500)

    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_it_takes_a_large_directive_apart_by_its_inner_blocks():
    code = "        x = 1\n" * 10
    body = "".join(f"    Paragraph {number}::\n\n{code}\n" for number in range(10))

    chunks = cut_text(f".. class:: Thing\n\n{body}", "rst", size=500)

    assert all(chunk.text.count("Paragraph") == chunk.text.count(code.rstrip()) for chunk in chunks)


def test_it_joins_small_sections_under_the_same_parent():
    chunks = cut_text("# Start\n\n" + "Intro. " * 100 + "\n\n## One\n\nTiny.\n\n## Two\n\nTiny too.\n")

    assert [chunk.heading for chunk in chunks] == ["Start", "Start"]
    assert chunks[1].text == "## One\n\nTiny.\n\n## Two\n\nTiny too."


def test_it_does_not_join_across_parents():
    long = "Words. " * 100

    chunks = cut_text(f"# Start\n\n## A\n\n{long}\n\n### A1\n\nTiny.\n\n## B\n\n### B1\n\n{long}")

    assert [chunk.heading for chunk in chunks] == ["Start > A", "Start > A > A1", "Start > B > B1"]


def test_a_bare_heading_goes_before_its_first_child():
    chunks = cut_text("# Start\n\n## Part\n\n### Piece\n\n" + "A sentence of words. " * 100)

    assert chunks[0].text.startswith("# Start\n\n## Part\n\n### Piece\n\nA sentence")
    assert chunks[0].heading == "Start > Part > Piece"


def test_a_label_goes_with_the_heading_below_it():
    long = "Words. " * 150

    chunks = cut_text(f"Start\n=====\n\n{long}\n\n.. _install:\n\nInstall\n-------\n\n{long}", "rst")

    assert chunks[1].text.startswith(".. _install:\n\nInstall")


def test_rst_levels_follow_the_order_of_first_use():
    long = "Words. " * 150

    chunks = cut_text(
        f"~~~~~\nStart\n~~~~~\n\n{long}\n\nA\n^^^^\n\n{long}\n\nA1\n====\n\n{long}\n\nB\n^^^^\n\n{long}", "rst"
    )

    assert [chunk.heading for chunk in chunks] == ["Start", "Start > A", "Start > A > A1", "Start > B"]


def test_the_indentation_of_the_first_line_stays():
    chunks = cut_text("\n\n    x = 1\n    y = 2\n\n")

    assert chunks[0].text == "    x = 1\n    y = 2"


def test_a_blank_document_has_no_chunks():
    assert cut_text(" \n\n\t\n") == ()


HUGE = {
    "one line": "a" * 5_000_000,
    "one sentence after another": "word. " * 800_000,
    "headings": "".join(f"# Heading {number}\n\ntext\n\n" for number in range(30_000)),
    "underlined headings": "".join(f"Heading {number}\n----------------\n\n" for number in range(30_000)),
    "nested lists": "".join(" " * depth + "- item\n" for depth in range(2_000)),
    "fences that never close": "> " * 200_000 + "\n" + "```\n~~~\n" * 30_000,
    "tables that never close": "==  ==\na   b\n\n" * 30_000,
    "brackets and quotes": "#" * 500_000 + "\n" + "[" * 500_000 + "\n" + "`" * 500_000,
    "blank lines": "\n" * 500_000 + "x",
}


@pytest.mark.parametrize("markup", ["markdown", "rst", "plain"])
@pytest.mark.parametrize("name", HUGE)
def test_it_cuts_a_huge_document_in_seconds(name, markup):
    began = time.process_time()

    cut_text(HUGE[name], markup)

    assert time.process_time() - began < 5
