"""From passages to a checked answer: pack, render the request, read the reply, check its citations."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from prompts.texts import PromptText
from rag.fencing import fenced_question, fenced_sources
from rag.providers.contracts import ChatReply, ChatRequest, Message
from rag.values import Answer, Conversation, Exchange, Passage, Source

NO_ANSWER = "NO_ANSWER"
NOTHING_FOUND = "The documents do not hold an answer to this question."
SOURCES_MAX_CHARACTERS = 24_000
SEPARATOR = re.compile(r"[,;]")
BRACKETED = re.compile(r"[ \t]?\[([^\[\]\n]{3,600})\]")


def packed(sources: Sequence[Source], *, limit: int = SOURCES_MAX_CHARACTERS) -> tuple[Source, ...]:
    """The best sources whose texts fit into `limit` characters together; always at least the first."""
    kept: list[Source] = []
    room = limit
    for source in sources:
        room -= len(source.passage.text)
        if kept and room < 0:
            break
        kept.append(source)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What an answer rests on: the question, the sources found for it, and the conversation that it continues, if any."""

    question: str
    found: tuple[Source, ...]
    conversation: Conversation | None

    def new(self) -> tuple[Source, ...]:
        """What the model has not been shown yet."""
        earlier = self._earlier()
        return tuple(source for source in self.found if source.passage.key not in earlier)

    def known(self) -> tuple[Source, ...]:
        """All that it may cite."""
        return (*self.found, *self._not_found())

    def shown(self, citations: Sequence[str]) -> tuple[Source, ...]:
        """What a client gets: what was found, and what was cited of earlier turns."""
        return (*self.found, *(source for source in self._not_found() if source.passage.key in citations))

    def _not_found(self) -> list[Source]:
        found = {source.passage.key for source in self.found}
        return [source for key, source in self._earlier().items() if key not in found]

    def _earlier(self) -> dict[str, Source]:
        return self.conversation.sources() if self.conversation else {}


def generation_request(
    *,
    question: str,
    passages: Sequence[Passage],
    prompt: PromptText,
    model: str,
    max_tokens: int,
    temperature: float | None,
    keep_system: bool = False,
    keep_turns: bool = False,
    conversation: Conversation | None = None,
) -> ChatRequest:
    """The exact request for an answer. The same inputs always give the same bytes: a replay depends on it.

    In a conversation `passages` are those that the model has not been shown yet; `keep_turns`: the provider is asked to keep
    what was said, for the turn after this one.
    """
    return ChatRequest(
        model=model,
        system=prompt.system_blocks(),
        messages=lone(question, passages)
        if conversation is None
        else turns(question, passages, conversation, marked=keep_turns),
        max_tokens=max_tokens,
        temperature=temperature,
        keep_system=keep_system,
        prompt=prompt.label,
    )


def lone(question: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
    """Nothing of it is marked: nobody will send these sources again, and writing them would cost a quarter more."""
    return (Message("user", f"{fenced_sources(passages)}\n\n{fenced_question(question)}"),)


def turns(
    question: str, passages: Sequence[Passage], conversation: Conversation, *, marked: bool
) -> tuple[Message, ...]:
    """The earlier turns byte for byte, then the new sources, then the question. `marked`: the block before the question is,
    so that the next turn reads everything up to there.
    """
    earlier = [message for exchange in conversation.exchanges for message in exchanged(exchange)]
    if marked and earlier and not passages:
        earlier[-1] = replace(earlier[-1], marked=True)
    return (*earlier, turn(question, passages, marked=marked and bool(passages)))


def exchanged(exchange: Exchange) -> tuple[Message, Message]:
    passages = [source.passage for source in exchange.sources]
    return turn(exchange.question, passages), Message("assistant", exchange.reply)


def turn(question: str, passages: Sequence[Passage], *, marked: bool = False) -> Message:
    sources = (fenced_sources(passages),) if passages else ()
    return Message("user", fenced_question(question), before=sources, marked=marked)


def checked_answer(reply: ChatReply, *, sources: Sequence[Source]) -> Answer:
    """The reply without citations of ids that were not sent; a NO_ANSWER reply loses its marker and all citations."""
    text = reply.text.strip()
    answered = not text.startswith(NO_ANSWER)
    known = {source.passage.key for source in sources} if answered else set()
    text, citations, removed = with_known_citations(
        text.removeprefix(NO_ANSWER).lstrip(": ") if not answered else text, known
    )
    text = text.strip()
    return Answer(text if answered else text or NOTHING_FOUND, answered, citations, removed, reply.stop_reason)


def with_known_citations(text: str, known: Iterable[str]) -> tuple[str, tuple[str, ...], int]:
    """The text with unknown citations taken out, the known ones in order of first use, and how many were taken out.

    A citation is a chunk id in square brackets, or several with commas or semicolons between them. Other brackets are text.
    """
    wanted, cited, removed = set(known), dict[str, None](), 0

    def judged(match: re.Match[str]) -> str:
        nonlocal removed
        inner = match.group(1).strip()
        ids = [inner] if inner in wanted else [part.strip() for part in SEPARATOR.split(inner)]
        kept = [each for each in ids if each in wanted or not looks_like_a_chunk_id(each)]
        cited.update(dict.fromkeys(each for each in kept if each in wanted))
        removed += len(ids) - len(kept)
        if len(kept) == len(ids):
            return match.group(0)
        return f" [{', '.join(kept)}]" if kept else ""

    return BRACKETED.sub(judged, text), tuple(cited), removed


def looks_like_a_chunk_id(text: str) -> bool:
    """`path/slug#n`: a slash somewhere, and a number right behind the last `#`."""
    head, _, tail = text.rpartition("#")
    return "/" in head and tail.isdecimal() and not head[-1:].isspace()
