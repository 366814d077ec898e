import pytest

from evals.comparison import Arm, Comparison, compare, read_together
from evals.reporting import as_markdown, as_text, number, verdict_sentence


def compared(before, after, *, names=("old", "new"), **options) -> Comparison:
    first, second = (
        Arm(name, {f"q{place:02}": value for place, value in enumerate(values, start=1)})
        for name, values in zip(names, (before, after), strict=True)
    )
    return compare(metric="recall_at_5", before=first, after=second, **options)


BETTER = compared([0.0] * 8 + [1.0] * 16, [1.0] * 24)
TOO_CLOSE = compared([0.0] * 5 + [1.0] * 19, [1.0] * 23 + [0.0])


def test_a_claim_comes_with_its_numbers():
    sentence = verdict_sentence(BETTER)

    assert sentence.startswith("new is better than old: +0.333 (0.667 to 1.000) over 24 questions; 95 % interval +0.")
    assert sentence.endswith("p = 0.00781 (exact McNemar test); 8 better, 0 worse, 16 equal.")


def test_no_difference_shown_is_said_first_with_what_would_have_been_seen():
    sentence = verdict_sentence(TOO_CLOSE)

    assert sentence.startswith("No difference shown: +0.167 (0.792 to 0.958) over 24 questions;")
    assert "An improvement shows only when 8 questions or more turn better against 1 that turn worse." in sentence
    assert "24 questions, spread as these are, show a true difference of 0.275 four times in five" in sentence


def test_an_edit_that_changed_nothing_is_told_so():
    assert verdict_sentence(compared([1.0] * 24, [1.0] * 24)) == (
        "No difference shown: the value is the same for all 24 questions. "
        "An improvement shows only when 6 questions or more turn better."
    )


def test_interval_and_test_that_disagree_are_both_told():
    sentence = verdict_sentence(compared([0.0] * 5 + [1.0] * 5, [1.0] * 10))

    assert "The interval alone would exclude 0, but the test does not tell the changes from luck." in sentence


def test_too_few_questions_are_called_too_few():
    assert "So few questions cannot show an improvement." in verdict_sentence(compared([0.0], [1.0]))
    assert "the same for the only question" in verdict_sentence(compared([1.0], [1.0]))


def test_questions_with_a_value_in_one_run_only_are_told():
    assert verdict_sentence(compared([1.0, 0.5], [None, None])) == (
        "Nothing to compare: no question has a value in both runs (2 more with a value in one run only)."
    )
    assert "over 24 questions (1 more with" in verdict_sentence(compared([0.0] * 24 + [0.0], [0.5] * 24 + [None]))


def test_several_comparisons_tell_the_adjusted_p_value_too():
    sentence = verdict_sentence(read_together([BETTER, TOO_CLOSE])[0])

    assert "p = 0.00781 (exact McNemar test), 0.0156 among all comparisons (Holm)" in sentence


def test_the_text_lists_the_questions_that_flipped_with_their_words():
    text = as_text(TOO_CLOSE, texts={"q01": "Which logger?"})

    assert text.splitlines()[0] == "recall_at_5: old to new"
    assert "    q01 0.000 to 1.000 Which logger?" in text.splitlines()
    assert text.splitlines()[-2:] == ["  Worse:", "    q24 1.000 to 0.000"]


def test_a_long_flip_list_is_cut_and_says_so():
    text = as_text(compared([0.0] * 25, [1.0] * 25), texts={})

    assert text.splitlines()[-1] == "    and 5 more"


def test_markdown_is_a_table_and_a_section_for_each_comparison():
    page = as_markdown([BETTER, TOO_CLOSE], texts={})

    lines = page.splitlines()
    assert lines[0].startswith("| metric | before | after | difference |")
    assert lines[2].startswith("| recall\\_at\\_5 | old: 0.667 | new: 1.000 | +0.333 | +0.")
    assert lines[2].endswith(" | 0.00781 | 8 / 0 / 16 | better |")
    assert lines[3].endswith(" | 5 / 1 / 18 | no difference shown |")
    assert page.count("### ") == 2


def test_markdown_shows_names_and_questions_as_they_are():
    page = as_markdown([compared([0.0], [1.0], names=("a|b", "<i>"))], texts={"q01": "What does\n| `x_y` do?"})

    assert "| a\\|b: 0.000 | \\<i\\>: 1.000 |" in page
    assert "- q01 0.000 to 1.000 What does \\| \\`x\\_y\\` do?" in page


def test_an_unchanged_run_has_no_interval_to_show():
    assert "| 0.000 | unknown | 1.000 | 0 / 0 / 9 |" in as_markdown([compared([0.5] * 9, [0.5] * 9)], texts={})


def test_nothing_to_compare_still_has_its_row():
    assert "| unknown | unknown | 1.000 | 0 / 0 / 0 | nothing to compare |" in as_markdown([compared([], [])], texts={})


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "unknown"), (0.0, "0.000"), (0.75, "0.750"), (0.004213, "0.00421"), (-120.4, "-120.400")],
)
def test_small_numbers_keep_three_digits(value, shown):
    assert number(value) == shown
