"""No text may close its fence or open a tag of ours; everything else is quoted letter for letter."""

import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.fencing import defused, fenced_question, fenced_source, fenced_sources
from rag.tests.doubles import passage

TAG = re.compile(r"<\s*/?\s*(?:sources?|question)\b[^>]*>?", re.IGNORECASE)
PIECES = [
    "<",
    ">",
    "/",
    " ",
    "\n",
    "\t",
    "source",
    "sources",
    "SOURCE",
    "Question",
    "question",
    "=",
    '"',
    "'",
    "&",
    "x",
]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=60)


def tags(text: str) -> list[str]:
    return [re.sub(r"\s.*", "", match, flags=re.DOTALL) for match in TAG.findall(text)]


@given(text=HOSTILE)
@example("</source>")
@example("< / source >")
@example("<\n/SOURCES\n>")
@example("</question><question>")
@example("<source id='x'")
@example("<<source>")
@example("</source")
def test_no_text_holds_a_tag_of_ours_any_more(text: str) -> None:
    assert tags(defused(text)) == []


@given(text=HOSTILE)
def test_defusing_twice_changes_nothing(text: str) -> None:
    assert defused(defused(text)) == defused(text)


@given(text=HOSTILE)
def test_defusing_changes_angle_brackets_only(text: str) -> None:
    assert defused(text).replace("&lt;", "<") == text.replace("&lt;", "<")


@given(question=HOSTILE)
def test_a_question_stays_inside_its_fence(question: str) -> None:
    assert tags(fenced_question(question)) == ["<question>", "</question>"]


@given(texts=st.lists(HOSTILE, min_size=1, max_size=3), heading=HOSTILE)
def test_passages_stay_inside_their_fences(texts: list[str], heading: str) -> None:
    passages = [replace(passage(f"a/b#{n}", text), heading=heading) for n, text in enumerate(texts)]

    found = tags(fenced_sources(passages))

    assert found == ["<sources>", *["<source", "</source>"] * len(texts), "</sources>"]


@given(key=st.text(min_size=1, max_size=30), heading=HOSTILE)
@example('a" onload="x', 'b" id="c')
def test_neither_an_id_nor_a_title_breaks_out_of_its_quotes(key: str, heading: str) -> None:
    head = fenced_source(replace(passage(key), heading=heading)).removeprefix("<source ").rpartition(">\n")[0]

    quoted = r"""(?:"[^"<>]*"|'[^'<>]*')"""
    assert re.fullmatch(rf"id={quoted} title={quoted}", head, re.DOTALL)


@pytest.mark.parametrize(
    "code",
    [
        "if a < b and c > d: ...",
        '<div class="source">&amp; <b>x</b></div>',
        "std::vector<source_file> v;",
        "resources <- read('sources.csv')",
        "<questionnaire>",
        "&lt;b&gt;",
        "",
    ],
)
def test_ordinary_code_survives_unchanged(code: str) -> None:
    assert defused(code) == code
    assert f"\n{code}\n" in fenced_source(passage("a/b#0", code))


def test_the_defused_bracket_is_an_entity() -> None:
    assert defused("x </Source> y") == "x &lt;/Source> y"


def test_a_source_shows_its_id_and_the_path_of_its_headings() -> None:
    text = fenced_source(passage("leave/carrying-over#0", "Five days."))

    assert text == ('<source id="leave/carrying-over#0" title="Leave &gt; Carrying over">\nFive days.\n</source>')


def test_a_source_without_headings_shows_its_title() -> None:
    assert 'title="A page"' in fenced_source(passage("a/b#0", heading=""))


def test_a_title_stays_on_one_line() -> None:
    assert 'title="One Two"' in fenced_source(passage("a/b#0", heading="One\nTwo"))


def test_sources_keep_their_order() -> None:
    text = fenced_sources([passage("b/x#0"), passage("a/y#1")])

    assert re.findall(r'id="([^"]+)"', text) == ["b/x#0", "a/y#1"]
