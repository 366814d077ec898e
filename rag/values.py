"""Words that everyone in the house shares: frozen values that travel through the pipeline.

Nothing here knows Django, HTTP, a clock or the settings. A `None` means unknown, a `0` means zero.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document as read: `text` is the canonical text that every character span refers to.

    `source` is the path below the ingested folder, without its extension, with forward slashes (`topics/db/queries`).
    `markup` is `markdown`, `rst` or `plain` and tells a structural chunker how headings look.
    """

    source: str
    title: str
    text: str
    markup: str


@dataclass(frozen=True, slots=True)
class ChunkRecipe:
    """How documents are cut, and by which chunker. `size` and `overlap` are characters.

    With a `parent_size` the chunks are small ones to be found, and what is sent in their place are the larger pieces of at most
    so many characters that they were cut from.
    """

    chunker: str
    size: int
    overlap: int = 0
    parent_size: int = 0

    @property
    def sent_size(self) -> int:
        """How many characters a source has at most."""
        return self.parent_size or self.size

    @property
    def children_per_parent(self) -> int:
        """About how many chunks one source is found by."""
        return max(1, -(-self.sent_size // self.size))


@dataclass(frozen=True, slots=True)
class ChunkDraft:
    """A piece of a document: `text == document.text[start:end]`.

    `key` is `source/slug#n`, the same for the same text and recipe; that of a piece with a `parent`, which is sent in its
    place, is the parent's followed by `.m`. `heading` is the path of headings above the piece, joined by ` > `, empty where
    the recipe ignores structure.
    """

    key: str
    text: str
    heading: str
    start: int
    end: int
    parent: "ChunkDraft | None" = None


def indexed_text(*, heading: str, text: str) -> str:
    """What is embedded and what BM25 indexes: the heading path, where there is one, then the text."""
    return f"{heading}\n\n{text}" if heading else text


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def storable(text: str) -> str:
    """The text with what neither JSON files nor PostgreSQL can hold replaced: NUL and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Question:
    """One question as asked, with the names that the caller chose and None for what they left to the defaults.

    `anew`: no kept answer is wanted. `session_id`: the conversation that it continues; `opens_session`: it begins one.
    `prompt_version`: the version of the answer prompt to be used, active or not (`v3`).
    """

    text: str
    corpus: str
    module: str
    transform: str | None = None
    top_k: int | None = None
    anew: bool = False
    session_id: str | None = None
    opens_session: bool = False
    prompt_version: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an API key, a signed-in user, or neither (the command line)."""

    api_key_id: int | None = None
    user_id: int | None = None

    def asker(self, session_id: str | None) -> str:
        """Who is to meet the same prompts again: a conversation, else a key or a user; empty for the command line."""
        if session_id is not None:
            return f"session:{session_id}"
        if self.api_key_id is not None:
            return f"key:{self.api_key_id}"
        return "" if self.user_id is None else f"user:{self.user_id}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk key with the score that one stage gave it; higher is better within a stage, never across stages."""

    key: str
    score: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A live chunk, as it stands in the database."""

    key: str
    title: str
    heading: str
    text: str
    url: str | None
    start: int
    end: int
    source: str


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that the model was shown, with the score that ranked it. `found` is the key of the chunk that led to it, where
    that is a smaller one."""

    passage: Passage
    score: float
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier turn of a conversation as the model saw it: the question, the sources that were new then, and the answer."""

    question: str
    sources: tuple[Source, ...]
    reply: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """What came before in a session. `questions` are all of them; `exchanges` those that the model is shown again."""

    questions: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()

    def sources(self) -> dict[str, Source]:
        """By id, what the model has before it already."""
        return {source.passage.key: source for exchange in self.exchanges for source in exchange.sources}


@dataclass(frozen=True, slots=True)
class Searches:
    """What a transform made of a question. `lexical[i]` and `dense[i]` are the same search, worded for each index."""

    transform: str
    lexical: tuple[str, ...]
    dense: tuple[str, ...]
    hypothetical: str | None = None
    sub_queries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer. `citations` are ids of `sources`, in order of first use; `removed` counts ids that were not sent."""

    text: str
    answered: bool
    citations: tuple[str, ...]
    removed: int
    stop_reason: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the pipeline gives back for one question."""

    answer: Answer
    sources: tuple[Source, ...]
    transform: str
    degraded: tuple[str, ...] = ()
