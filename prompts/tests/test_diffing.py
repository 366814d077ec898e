"""What is different between two texts, and how a terminal shows it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.diff_text import diff_lines
from prompts.diffing import MOST_PAIRS, MOST_WORDS, BlockDiff, Piece, Row, diff_prompts, diff_texts
from prompts.texts import PromptText

OLD = "Be brief.\nCite every claim.\nDo not guess."
LINE = st.lists(st.sampled_from(["be", "brief", "cite", " ", "  ", ".", "\u2028", "é"])).map("".join)
TEXT = st.lists(LINE).map("\n".join) | st.text()


def kinds(rows: tuple[Row, ...]) -> str:
    """One sign a row: same, edited, removed, added."""
    return "".join("=" if row.same else "-" if row.new is None else "+" if row.old is None else "~" for row in rows)


@given(TEXT, TEXT)
def test_both_texts_can_be_put_together_again(old: str, new: str) -> None:
    rows = diff_texts(old, new)

    for text, sides in ((old, [row.old for row in rows]), (new, [row.new for row in rows])):
        present = [side for side in sides if side]
        assert "\n".join(side.text for side in present) == text
        assert [side.number for side in present] == list(range(1, len(present) + 1))


@given(TEXT, TEXT)
def test_what_is_marked_as_unchanged_is_the_same_on_both_sides(old: str, new: str) -> None:
    for row in diff_texts(old, new):
        if row.old and row.new:
            left, right = ("".join(p.text for p in side.pieces if not p.changed) for side in (row.old, row.new))
            assert left == right
            assert row.same == (not any(piece.changed for side in (row.old, row.new) for piece in side.pieces))


@given(TEXT)
def test_a_text_is_the_same_as_itself(text: str) -> None:
    assert all(row.same for row in diff_texts(text, text))


@pytest.mark.parametrize(
    ("new", "signs"),
    [
        (OLD, "==="),
        ("", "---"),
        ("Be brief.\nDo not guess.", "=-="),
        ("Be brief.\nCite every claim.\nQuote names.\nDo not guess.", "==+="),
        ("Be brief.\nCite every single claim.\nDo not guess.", "=~="),
        ("Be brief.\nAnswer in French!\nDo not guess.", "=-+="),
        ("Be brief.\nNever number sources.\nCite each claim.\nDo not guess.", "=+~="),
        (f"{OLD}\n", "===+"),
        (OLD.replace("claim.", "claim. "), "=~="),
    ],
)
def test_lines_are_kept_edited_removed_or_added(new: str, signs: str) -> None:
    assert kinds(diff_texts(OLD, new)) == signs


def test_an_edited_line_shows_its_words() -> None:
    (row,) = diff_texts("Cite every claim.", "Cite each claim, always.")

    assert row.old and row.old.pieces[:3] == (Piece("Cite ", False), Piece("every", True), Piece(" claim", False))
    assert row.new and row.new.pieces[1] == Piece("each", True)


def test_words_that_changed_side_by_side_are_one_change() -> None:
    (row,) = diff_texts("Cite every single claim in full.", "Cite each short claim in full.")

    assert row.old and row.old.pieces == (
        Piece("Cite ", False),
        Piece("every single", True),
        Piece(" claim in full.", False),
    )


def test_a_text_without_likeness_to_the_old_one_is_not_compared_line_by_line() -> None:
    many = int(MOST_PAIRS**0.5) + 1
    old, new = ("\n".join(f"{word} line {n}" for n in range(many)) for word in ("old", "new"))

    assert kinds(diff_texts(old, new)) == "-" * many + "+" * many


def test_a_very_long_line_is_edited_as_a_whole() -> None:
    (row,) = diff_texts("a " * MOST_WORDS, "a " * MOST_WORDS + "b a")

    assert row.old and row.old.pieces == (Piece("a " * MOST_WORDS, True),)


def test_blocks_are_compared_each_with_its_own() -> None:
    instructions, examples = diff_prompts(
        PromptText("answer", "v1", "A", "B", ""), PromptText("answer", "v2", "A", "C", "")
    )

    assert (instructions.block, instructions.same, examples.block, examples.same) == (
        "instructions",
        True,
        "examples",
        False,
    )


def shown(old: str, new: str, colour: bool = False) -> list[str]:
    return list(diff_lines([BlockDiff("examples", diff_texts(old, new))], colour=colour))


def test_a_terminal_shows_signs_and_the_words_in_brackets() -> None:
    new = "Be brief.\nCite each claim.\nNever guess at all!"

    assert shown(OLD, new) == [
        "@@ examples @@",
        "  Be brief.",
        "- Cite [-every-] claim.",
        "+ Cite {+each+} claim.",
        "- Do not guess.",
        "+ Never guess at all!",
    ]


def test_far_from_a_change_lines_are_left_out() -> None:
    old = "\n".join(f"line {number}" for number in range(20))

    lines = shown(old, old.replace("line 10", "line ten"))

    assert lines[1:3] == ["  ...", "  line 7"]
    assert lines[-2:] == ["  line 13", "  ..."]
    assert len(lines) == 11


def test_colour_takes_the_place_of_the_brackets() -> None:
    lines = shown("Cite every claim.", "Cite each claim.", colour=True)

    assert [re.sub(r"\033\[[0-9;]*m", "", line) for line in lines[1:]] == ["- Cite every claim.", "+ Cite each claim."]
    assert all(line.startswith("\033[3") and line.endswith("\033[0m") for line in lines[1:])


def test_a_terminal_obeys_nothing_that_a_prompt_says() -> None:
    assert shown("", "\033[2Jgone")[1] == r"+ \x1b[2Jgone"
