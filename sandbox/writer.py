"""What the sandbox writes: the job is read from the request, the words come from the request."""

from sandbox import extract, judge, queries, sentences, tags
from sandbox.embedding import Embedding
from sandbox.roles import role_of

NO_ANSWER = "NO_ANSWER"
NOT_HELD = "The sources do not hold the answer to this question."
SMALL_TALK = "This is the sandbox: it answers questions from the sources that a request carries, and nothing else."


class Writer:
    """Deterministic: the same request always gets the same words."""

    def __init__(self, embedding: Embedding) -> None:
        self._embedding = embedding
        self._extractor = extract.Extractor(embedding)

    async def write(self, *, system: str, user_texts: tuple[str, ...]) -> str:
        """`user_texts`: one text per user message, oldest first."""
        questions = tags.questions(user_texts)
        match role_of(system=system, user_texts=user_texts):
            case "choose":
                return queries.choose(questions[-1])
            case "judge":
                return await judge.verdict(self._embedding, user_texts)
            case "answer":
                return await self._answer(system or "\n".join(user_texts), questions[-1], user_texts)
            case "hyde":
                return queries.hypothetical(questions[-1])
            case "multi_query":
                return queries.wordings(questions[-1])
            case "decompose":
                return queries.sub_questions(questions[-1])
            case "standalone":
                return queries.standalone(questions)
            case _:
                return SMALL_TALK

    async def _answer(self, instructions: str, question: str, user_texts: tuple[str, ...]) -> str:
        ranked = await self._extractor.ranked(question, tags.sources(user_texts))
        chosen = extract.best(ranked, question=question)
        if not chosen:
            return f"{NO_ANSWER}: {NOT_HELD}" if NO_ANSWER in instructions else NOT_HELD
        cites = "cite" in instructions.lower()
        quoted = ((sentences.readable(found.text), found.source_id) for found in chosen)
        return " ".join(f"{text} [{source_id}]" if cites else text for text, source_id in quoted)
