"""Sentences that may be quoted from a passage of reStructuredText, Markdown or plain text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^\s*(```|~~~)")
UNDERLINE = re.compile(r"^\s*([=\-~^\"'`#*+:.<>_])\1{2,}\s*$")
MARKDOWN_HEADING = re.compile(r"^\s{0,3}#{1,6}\s")
DIRECTIVE = re.compile(r"^\s*(\.\. |:[\w-]+:\s|\.\.$)")
LIST_ITEM = re.compile(r"^\s*(?:[*+\-•]|\d{1,3}[.)]|#\.)\s+")
TABLE_ROW = re.compile(r"^\s*[|+]|^\s*=+(\s+=+)+\s*$")
CODE = re.compile(
    r"^\s+#\s|^\s*(>>>|\.\.\.|\$ |@|def |class |import |from \w[\w.]* import )|[;{}]\s*$|^\s*\S+ = \S|^\s*</?\w+"
)
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]`*]*\s+(?=[\"'(\[`*:]*[A-Z0-9])")
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|Dr|Mr|Ms|Mrs|No|Fig|St|U\.S)|\b[A-Z])\.$")
ROLE = re.compile(r":(?:[\w+-]+:)+`~?([^`<]+?)(?:\s*<[^`>]*>)?`")
LITERAL = re.compile(r"``([^`]+)``")
CODE_INDENT = 4
FEWEST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text` is verbatim with runs of white space collapsed. `weak`: code, a table row or a fragment."""

    text: str
    weak: bool


def split(passage: str) -> tuple[Sentence, ...]:
    """Sentences in order. Headings, their underlines, directives and comments are left out."""
    return tuple(sentence for lines, weak in _units(passage.splitlines()) for sentence in _sentences(lines, weak=weak))


def _units(lines: list[str]) -> Iterator[tuple[list[str], bool]]:
    """Runs of lines that belong together (a paragraph, a list item), or single weak lines."""
    paragraph: list[str] = []
    fenced = False
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if FENCE.match(line):
            fenced = not fenced
        weak = fenced or _is_weak(line, paragraph)
        boundary = weak or not line.strip() or _is_skipped(line, following) or LIST_ITEM.match(line)
        if boundary and paragraph:
            yield paragraph, False
            paragraph = []
        if FENCE.match(line) or not line.strip() or _is_skipped(line, following):
            continue
        if weak:
            yield [line], True
        else:
            paragraph.append(LIST_ITEM.sub("", line))
    if paragraph:
        yield paragraph, False


def _is_weak(line: str, paragraph: list[str]) -> bool:
    indented = line.startswith(" " * CODE_INDENT) and not paragraph and not LIST_ITEM.match(line)
    return bool(CODE.search(line) or TABLE_ROW.match(line)) or (indented and not _is_prose(line))


def _is_prose(line: str) -> bool:
    """Indented text is prose when it reads like the start of a sentence (quotes, notes, definitions)."""
    return len(line.split()) >= FEWEST_WORDS and line.strip()[0].isupper()


def _is_skipped(line: str, following: str) -> bool:
    if MARKDOWN_HEADING.match(line) or DIRECTIVE.match(line) or UNDERLINE.match(line):
        return True
    return bool(UNDERLINE.match(following)) and len(following.strip()) >= len(line.strip()) > 0


def _sentences(lines: list[str], *, weak: bool) -> Iterator[Sentence]:
    text = " ".join(" ".join(lines).split())
    start = 0
    for end in SENTENCE_END.finditer(text):
        if not ABBREVIATION.search(text[start : end.start()]):
            yield _sentence(text[start : end.start()] + end.group().rstrip(), weak=weak)
            start = end.end()
    if text[start:]:
        yield _sentence(text[start:], weak=weak)


def _sentence(text: str, *, weak: bool) -> Sentence:
    return Sentence(text=text, weak=weak or len(text.split()) < FEWEST_WORDS)


def readable(text: str) -> str:
    """The sentence as a writer would quote it: roles and literals of reStructuredText become code, `::` a colon."""
    plain = LITERAL.sub(r"`\1`", ROLE.sub(r"`\1`", text))
    return plain[:-1] if plain.endswith("::") else plain
