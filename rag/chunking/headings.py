"""Headings: their words without markup, and the level that a style of drawing them stands for."""

import re

LONGEST_TITLE = 300
"""Characters; a longer line is never a heading."""

_ROLE = re.compile(r":[\w:+.-]{1,40}:`([^`]{1,300})`")
_TARGET = re.compile(r"\s*<[^<>]{1,300}>$")
_LINK = re.compile(r"!?\[([^\[\]]{1,300})\]\([^()]{0,300}\)")
_QUOTED = re.compile(r"`+")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)([^*]{1,300})(?<=\S)\1(?![\w*])")


def plain_title(title: str) -> str:
    """The words of a heading: roles, links, literals and emphasis lose their marks.

    `:class:`~django.db.models.Model`` becomes `Model`, as Sphinx shows it.
    """
    words = _ROLE.sub(lambda role: _shown(role[1]), title)
    words = _LINK.sub(r"\1", words)
    words = _EMPHASIS.sub(r"\2", words)
    return " ".join(_QUOTED.sub("", words).split())


class Levels:
    """Levels of headings from 1 (the top). Markdown counts its `#`; elsewhere the order of first use decides."""

    def __init__(self, markup: str) -> None:
        self._order: dict[str, int] = {"#" * level: level for level in range(1, 7)} if markup == "markdown" else {}

    def of(self, style: str) -> int:
        return self._order.setdefault(style, len(self._order) + 1)


def _shown(role: str) -> str:
    named = _TARGET.sub("", role)
    if named != role and named:
        return named
    return role.rsplit(".", 1)[-1] if role.startswith("~") else role.lstrip("!")
