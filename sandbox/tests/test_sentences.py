import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import sentences

RST = """\
=======
Caching
=======

.. versionadded:: 3.2

Django is *fast*. It caches pages, e.g. whole
sites (see below). Use ``cache_page``
for one view::

    from django.views import cache_page
    @cache_page(60)

.. note::

    This is a note with enough words.

* First item is a sentence.
* Second item
  goes on here.

Next part
---------

Is this a question? Yes, version 5.2 is out.
"""


def texts(passage: str, *, weak: bool = False) -> list[str]:
    return [sentence.text for sentence in sentences.split(passage) if sentence.weak is weak]


def test_rst_is_split_into_sentences_without_headings_and_directives():
    assert texts(RST) == [
        "It caches pages, e.g. whole sites (see below).",
        "Use ``cache_page`` for one view::",
        "This is a note with enough words.",
        "First item is a sentence.",
        "Second item goes on here.",
        "Is this a question?",
        "Yes, version 5.2 is out.",
    ]


def test_code_lines_are_weak():
    assert texts(RST, weak=True)[-2:] == ["from django.views import cache_page", "@cache_page(60)"]


def test_markdown_headings_and_fences_are_left_out():
    prose = "# Title\n\nOne sentence of prose here. Another one follows it.\n\n"
    passage = f"{prose}```python\nx = 1\n```\n\n- an item of a list\n"

    assert texts(passage) == ["One sentence of prose here.", "Another one follows it.", "an item of a list"]
    assert texts(passage, weak=True) == ["x = 1"]


def test_table_rows_are_weak():
    passage = "| name | meaning of it |\n| --- | --- |\nAfter the table comes prose."

    assert texts(passage) == ["After the table comes prose."]


@pytest.mark.parametrize("passage", ["", "   \n\n", "=====\n", "# Only a heading"])
def test_nothing_quotable_gives_nothing(passage):
    assert sentences.split(passage) == ()


def test_a_paragraph_is_one_line_of_collapsed_white_space():
    assert texts("Words   that are\n spread\tover lines.") == ["Words that are spread over lines."]


@given(st.text(alphabet="ab. A?!\n#=*`|:-", max_size=200))
def test_every_sentence_stands_in_the_passage(passage):
    collapsed = " ".join(passage.split())

    for sentence in sentences.split(passage):
        assert sentence.text
        assert all(word in collapsed for word in sentence.text.split())


def test_a_quoted_sentence_shows_roles_and_literals_as_code():
    text = "Use :setting:`SECRET_KEY_FALLBACKS`, ``DEBUG`` or :class:`~django.db.models.Q` (:ref:`see <topics>`)::"

    assert sentences.readable(text) == "Use `SECRET_KEY_FALLBACKS`, `DEBUG` or `django.db.models.Q` (`see`):"
