"""An answer while it is being written: what may be shown already, such that the pieces add up to the checked answer."""

import re
from collections.abc import Callable, Iterable

from rag.generate import NO_ANSWER, NOTHING_FOUND, with_known_citations

LONGEST_CITATION = 602
OPEN_BRACKET = re.compile(r"[ \t]?\[[^\[\]\n]*\Z")
TRAILING_SPACE = re.compile(r"\s+\Z")


class AnswerStream:
    """Turns pieces of a reply into pieces of the answer, and hands them to `show`.

    Held back are: the first characters until it is clear whether they are the NO_ANSWER marker, white space at the end, and an
    open bracket until it closes, because an id that was not sent must not be shown. However the reply is cut into pieces, what
    is shown adds up to the text of `checked_answer`.
    """

    def __init__(self, known: Iterable[str], show: Callable[[str], None]) -> None:
        self.begun = False
        """whether anything was shown"""
        self._show = show
        self._known = set(known)
        self._held = ""
        self._decided = False
        self._marked = False

    def feed(self, piece: str) -> None:
        """Show what this piece of the reply makes certain, often nothing."""
        self._held += piece
        if self._decided or self._decide(final=False):
            self._release(self._safe_length())

    def finish(self) -> None:
        """Show what was still held back when the reply ended."""
        if not self._decided:
            self._decide(final=True)
        self._held = self._held.rstrip()
        self._release(len(self._held))
        if self._marked and not self.begun:
            self._tell(NOTHING_FOUND)

    def _decide(self, *, final: bool) -> bool:
        """Whether the reply begins with the marker; False while more text is needed for that."""
        text = self._held.lstrip()
        if not final and (not text or (NO_ANSWER.startswith(text) and text != NO_ANSWER)):
            return False
        if text.startswith(NO_ANSWER):
            text = text.removeprefix(NO_ANSWER).lstrip(": ").lstrip()
            if not text and not final:
                return False
            self._marked, self._known = True, set()
        self._held, self._decided = text, True
        return True

    def _safe_length(self) -> int:
        """How much of what is held can no longer change by what follows."""
        bracket = OPEN_BRACKET.search(self._held)
        if bracket and len(self._held) - bracket.start() <= LONGEST_CITATION:
            return bracket.start()
        space = TRAILING_SPACE.search(self._held)
        return space.start() if space else len(self._held)

    def _release(self, length: int) -> None:
        ready, self._held = self._held[:length], self._held[length:]
        shown, _, _ = with_known_citations(ready, self._known)
        if shown:
            self._tell(shown)

    def _tell(self, text: str) -> None:
        self.begun = True
        self._show(text)
