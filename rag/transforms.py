"""Turning a question into searches. A transform asks the small model, if at all, and parses what comes back strictly."""

import re
from collections.abc import Mapping, Sequence

from prompts.texts import PromptText
from rag.fencing import fenced_question
from rag.modules import AUTO, TRANSFORMS
from rag.providers.contracts import ChatModel, ChatRequest, Message
from rag.values import Searches

MAX_TOKENS = {"choose": 8, "hyde": 250, "multi_query": 200, "decompose": 200, "follow_up": 200}
REMEMBERED = 6
"""earlier questions that a follow-up is understood from"""
MAX_LINES = 4
LONGEST = 2_000
BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])(?:\s+|$)")


class Transformer:
    """`prompts` holds the active texts of `choose`, `hyde`, `multi_query`, `decompose` and `follow_up`."""

    def __init__(
        self, *, chat: ChatModel, model: str, temperature: float | None, prompts: Mapping[str, PromptText]
    ) -> None:
        self._chat = chat
        self._model = model
        self._temperature = temperature
        self._prompts = prompts

    def searches(self, question: str, transform: str) -> Searches:
        """The searches for a question; `auto` is chosen first. Raises ProviderError."""
        chosen = self._choose(question) if transform == AUTO else transform
        if chosen == "hyde":
            return self._hyde(question)
        if chosen in ("multi_query", "decompose"):
            return self._lines(question, chosen)
        return simple(question)

    def standalone(self, question: str, earlier: Sequence[str]) -> str:
        """The follow-up as a question that can be understood, and searched for, on its own. Raises ProviderError."""
        asked = "\n".join(map(fenced_question, (*earlier[-REMEMBERED:], question)))
        return " ".join(self._send("follow_up", asked).split())[:LONGEST] or question

    def _choose(self, question: str) -> str:
        word = self._ask("choose", question).strip().strip(".\"'`").lower()
        return word if word in TRANSFORMS else "simple"

    def _hyde(self, question: str) -> Searches:
        passage = self._ask("hyde", question).strip()
        if not passage:
            return simple(question)
        return Searches(transform="hyde", lexical=(question,), dense=(passage,), hypothetical=passage)

    def _lines(self, question: str, transform: str) -> Searches:
        """The question itself is always among the searches: a bad rewrite can add noise but not lose the question."""
        lines = parsed_lines(self._ask(transform, question))
        queries = (question, *(line for line in lines if line != question))
        return Searches(transform=transform, lexical=queries, dense=queries, sub_queries=lines)

    def _ask(self, name: str, question: str) -> str:
        return self._send(name, fenced_question(question))

    def _send(self, name: str, text: str) -> str:
        request = ChatRequest(
            model=self._model,
            system=self._prompts[name].system_blocks(),
            messages=(Message("user", text),),
            max_tokens=MAX_TOKENS[name],
            temperature=self._temperature,
            prompt=self._prompts[name].label,
        )
        return self._chat.send(request).text


def simple(question: str) -> Searches:
    return Searches(transform="simple", lexical=(question,), dense=(question,))


def parsed_lines(text: str) -> tuple[str, ...]:
    """At most MAX_LINES non-empty lines, without bullets or numbers, each once."""
    lines = (BULLET.sub("", line).strip() for line in text.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line))[:MAX_LINES]
