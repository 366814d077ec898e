"""The words of headings, and the slugs and keys made of them."""

import pytest

from rag.chunking.headings import Levels, plain_title
from rag.chunking.keys import Keys, slug_of


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("``Model`` class reference", "Model class reference"),
        ("The :class:`~django.db.models.Model` class", "The Model class"),
        (":doc:`Middleware </topics/http/middleware>` order", "Middleware order"),
        ("`code` and [link](https://example.com/x)", "code and link"),
        ("**Bold** and __init__.py", "Bold and __init__.py"),
        ("snake_case_name", "snake_case_name"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("  spaced \t out ", "spaced out"),
    ],
)
def test_a_title_loses_its_markup(title, words):
    assert plain_title(title) == words


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Creating objects", "creating-objects"),
        ("select_related()", "select_related"),
        ("Caf\u00e9 / Bar", "cafe-bar"),
        ("\u5b89\u88c5", "section"),
        ("", "section"),
        ("x" * 200, "x" * 60),
    ],
)
def test_a_slug_is_short_ascii(title, slug):
    assert slug_of(title) == slug


def test_keys_count_under_each_slug():
    keys = Keys("a/b")

    assert [keys.next("x"), keys.next("y"), keys.next("x")] == ["a/b/x#0", "a/b/y#0", "a/b/x#1"]


def test_markdown_levels_count_the_marks():
    assert Levels("markdown").of("###") == 3


def test_other_levels_follow_the_order_of_first_use():
    levels = Levels("rst")

    assert [levels.of("=="), levels.of("~"), levels.of("=="), levels.of("-")] == [1, 2, 1, 3]
