"""From passages to a checked answer: pack, render the request, read the reply, check its citations."""

import re
from collections.abc import Iterable, Sequence

from prompts.texts import PromptText
from rag.fencing import fenced_question, fenced_sources
from rag.providers.contracts import ChatReply, ChatRequest, Message
from rag.values import Answer, Passage, Source

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


def generation_request(
    *,
    question: str,
    passages: Sequence[Passage],
    prompt: PromptText,
    model: str,
    max_tokens: int,
    temperature: float | None,
) -> ChatRequest:
    """The exact request for an answer. The same inputs always give the same bytes: a replay depends on it."""
    return ChatRequest(
        model=model,
        system=prompt.system_blocks(),
        messages=(Message("user", f"{fenced_sources(passages)}\n\n{fenced_question(question)}"),),
        max_tokens=max_tokens,
        temperature=temperature,
    )


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
