"""Fencing data: text that somebody else wrote is put where it can neither pose as instructions nor close its own fence.

Our tags are `<sources>`, `<source>` and `<question>`. Inside a fence anything that begins like one of them, in any case and
spacing, loses its angle bracket. Everything else stays as it is, so that code and markup can be quoted letter for letter.
"""

import re
from collections.abc import Sequence

from rag.values import Passage

FENCE = re.compile(r"<(?=[\s/]*(?:sources?|question)\b)", re.IGNORECASE)


def defused(text: str) -> str:
    """The text without anything that could be read as one of our tags."""
    return FENCE.sub("&lt;", text)


def fenced_question(question: str) -> str:
    return f"<question>{defused(question)}</question>"


def fenced_sources(passages: Sequence[Passage]) -> str:
    """The passages in order, each with its id and the path of its headings."""
    blocks = "\n".join(fenced_source(passage) for passage in passages)
    return f"<sources>\n{blocks}\n</sources>"


def fenced_source(passage: Passage) -> str:
    title = attribute(passage.heading or passage.title)
    return f'<source id="{attribute(passage.key)}" title="{title}">\n{defused(passage.text)}\n</source>'


QUOTED = str.maketrans({'"': "&quot;", "<": "&lt;", ">": "&gt;"})


def attribute(text: str) -> str:
    """The text for use between double quotes. An ampersand stays: ids must come back as they were sent."""
    return " ".join(text.translate(QUOTED).split())
