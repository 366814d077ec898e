import pytest

from sandbox import queries


@pytest.mark.parametrize(
    ("question", "strategy"),
    [
        ("What does select_for_update() require?", "simple"),
        ("Which cache backends are available for production sites?", "simple"),
        ("What happens if middleware raises MiddlewareNotUsed?", "simple"),
        ("How do I set SESSION_COOKIE_AGE?", "simple"),
        ("How do I make my site load faster for visitors?", "hyde"),
        ("Why does my page show old data after saving?", "hyde"),
        ("file uploads", "multi_query"),
        ("caching?", "multi_query"),
        ("What is the difference between annotate() and aggregate()?", "decompose"),
        ("ForeignKey versus OneToOneField", "decompose"),
        ("How do I create a user and how do I give it a permission?", "decompose"),
        ("What is a signal? When is it sent?", "decompose"),
    ],
)
def test_the_strategy_follows_the_form_of_the_question(question, strategy):
    assert queries.choose(question) == strategy


def test_a_hypothetical_passage_states_the_topic_in_expected_terms():
    passage = queries.hypothetical("How do I make my site faster?")

    assert "make my site faster" in passage
    assert "performance" in passage
    assert "?" not in passage


def test_there_are_three_wordings_one_on_each_line():
    lines = queries.wordings("How do I delete a picture?").splitlines()

    assert len(lines) == len(set(lines)) == 3
    assert lines[1] == "remove image file"


def test_a_comparison_becomes_one_question_for_each_side():
    assert queries.sub_questions("What is the difference between annotate and aggregate?").splitlines() == [
        "What is annotate?",
        "What is aggregate?",
    ]


def test_two_clauses_become_two_questions():
    assert queries.sub_questions("How do I create a user and how do I give it a permission?").splitlines() == [
        "How do I create a user?",
        "How do I give it a permission?",
    ]


def test_there_are_at_most_four_sub_questions():
    assert len(queries.sub_questions("A one? B two? C three? D four? E five?").splitlines()) == 4


def test_a_question_in_one_part_stays_one():
    assert queries.sub_questions("How do I cache a page?") == "How do I cache a page?"


def test_a_follow_up_takes_over_what_it_leaves_unsaid():
    rewritten = queries.standalone(["How do I cache a page?", "And for async views?"])

    assert rewritten == "For async views (cache page)?"


def test_a_question_that_stands_alone_is_left_alone():
    question = "Which middleware compresses large responses for browsers?"

    assert queries.standalone(["How do I cache a page?", question]) == question
    assert queries.standalone(["And it?"]) == "And it?"
