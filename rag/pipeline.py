"""The story of one question on one page. Plain Python: no Django, no HTTP, no clock, no settings.

understand -> find (`rag.finding`: transform -> embed -> vector, BM25 -> fuse -> rerank -> pack) -> generate -> check citations.
"""

from dataclasses import replace

from rag.errors import AnswerInterrupted, ProviderError, ProviderTimeout
from rag.finding import sources_for
from rag.generate import NOTHING_FOUND, Grounds, checked_answer, generation_request
from rag.parts import Listener, Parts, degrade
from rag.streaming import AnswerStream
from rag.trace import Trace
from rag.values import Answer, Conversation, Outcome, Source

TOO_LATE = "I could not generate an answer in time, here are the retrieved sources for reference."


def answer(
    question: str,
    parts: Parts,
    trace: Trace,
    listener: Listener | None = None,
    conversation: Conversation | None = None,
) -> Outcome:
    """Answer one question, leaving every step in the trace. Raises ProviderError, IndexUnavailable, IndexOutdated.

    Where the module allows fallbacks, what could not be had is left out or replaced, and the trace says so in `degraded`.
    With a listener the reply is streamed, and one that breaks off after its beginning was shown raises AnswerInterrupted.
    In a conversation the question is first made to stand on its own, and sources that the model has already are not sent again.
    """
    asked = understood(question, conversation, parts, trace)
    transform, sources = sources_for(asked, parts, trace)
    trace.sources = sources
    if listener is not None:
        listener.sources(sources)
    grounds = Grounds(asked, sources, conversation)
    written = generated_for(grounds, parts, trace, listener)
    return finished(written, grounds.shown(written.citations), transform, trace)


def understood(question: str, conversation: Conversation | None, parts: Parts, trace: Trace) -> str:
    if conversation is None or not conversation.questions:
        return question
    try:
        with trace.step("follow_up"):
            trace.standalone = parts.transformer.standalone(question, conversation.questions)
    except ProviderError as error:
        degrade("transform_skipped", error, parts, trace)
        return question
    return trace.standalone


def generated_for(grounds: Grounds, parts: Parts, trace: Trace, listener: Listener | None) -> Answer:
    known = grounds.known()
    stream = AnswerStream((source.passage.key for source in known), listener.delta) if listener else None
    answer = generated(grounds, parts, trace, stream) if known else Answer(NOTHING_FOUND, False, (), 0, None)
    if listener is not None and stream is not None and not stream.begun:
        listener.delta(answer.text)
    return answer


def generated(grounds: Grounds, parts: Parts, trace: Trace, stream: AnswerStream | None) -> Answer:
    new = [source.passage for source in grounds.new()]
    trace.keep_system = parts.keep_system()
    request = generation_request(
        question=grounds.question,
        passages=new,
        prompt=parts.prompt,
        model=parts.models.answer,
        max_tokens=parts.models.max_tokens,
        temperature=parts.models.temperature,
        keep_system=trace.keep_system,
        keep_turns=parts.module.prompt_cache,
        conversation=grounds.conversation,
    )
    trace.sources_sent = tuple(passage.key for passage in new)
    trace.prompt_length_chars = request.characters()
    trace.request_sha256 = request.fingerprint()
    try:
        with trace.step("generate"):
            reply = parts.chat.send(replace(request, on_text=stream.feed if stream else None))
    except ProviderError as error:
        if stream is not None and stream.begun:
            raise AnswerInterrupted(f"the answer broke off: {error}", provider=error.provider) from error
        if not isinstance(error, ProviderTimeout):
            raise
        degrade("generation_timeout", error, parts, trace)
        return Answer(TOO_LATE, False, (), 0, None)
    if stream is not None:
        stream.finish()
    return checked_answer(reply, sources=grounds.known())


def finished(checked: Answer, sources: tuple[Source, ...], transform: str, trace: Trace) -> Outcome:
    note_answer(checked, trace)
    trace.sources = sources
    return Outcome(checked, sources, transform, trace.degraded)


def note_answer(checked: Answer, trace: Trace) -> None:
    trace.final_answer = checked.text
    trace.answered = checked.answered
    trace.citations = checked.citations
    trace.citations_removed = checked.removed
    trace.stop_reason = checked.stop_reason
