"""An answer while it is being written: what may be shown already, such that the pieces add up to the checked answer."""

import re
from collections.abc import Iterable

from rag.generate import NO_ANSWER, NOTHING_FOUND, with_known_citations

LONGEST_CITATION = 602
OPEN_BRACKET = re.compile(r"[ \t]?\[[^\[\]\n]*\Z")
TRAILING_SPACE = re.compile(r"\s+\Z")


class AnswerStream:
    """Turns deltas of a reply into deltas of the answer.

    Held back are: the first characters until it is clear whether they are the NO_ANSWER marker, white space at the end, and an
    open bracket until it closes, because an id that was not sent must not be shown. However the reply is cut into deltas, the
    results add up to the text of `checked_answer`.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = set(known)
        self._held = ""
        self._begun = False
        self._marked = False
        self._empty = True

    def feed(self, delta: str) -> str:
        """The part of the answer that this delta makes visible, often empty."""
        self._held += delta
        if not self._begun and not self._begin(final=False):
            return ""
        return self._release(self._safe_length())

    def finish(self) -> str:
        """What was still held back when the reply ended."""
        if not self._begun:
            self._begin(final=True)
        self._held = self._held.rstrip()
        rest = self._release(len(self._held))
        return NOTHING_FOUND if self._marked and self._empty else rest

    def _begin(self, *, final: bool) -> bool:
        """Decide how the answer begins; False while more text is needed for that."""
        text = self._held.lstrip()
        if not final and (not text or (NO_ANSWER.startswith(text) and text != NO_ANSWER)):
            return False
        if text.startswith(NO_ANSWER):
            text = text.removeprefix(NO_ANSWER).lstrip(": ").lstrip()
            if not text and not final:
                return False
            self._marked, self._known = True, set()
        self._held, self._begun = text, True
        return True

    def _safe_length(self) -> int:
        """How much of what is held can no longer change by what follows."""
        bracket = OPEN_BRACKET.search(self._held)
        if bracket and len(self._held) - bracket.start() <= LONGEST_CITATION:
            return bracket.start()
        space = TRAILING_SPACE.search(self._held)
        return space.start() if space else len(self._held)

    def _release(self, length: int) -> str:
        ready, self._held = self._held[:length], self._held[length:]
        shown, _, _ = with_known_citations(ready, self._known)
        self._empty = self._empty and not shown
        return shown
