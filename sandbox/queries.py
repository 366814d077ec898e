"""The query transforms that a small model would do: choosing one, and rewriting a question."""

import re

from sandbox import stems

IDENTIFIER = re.compile(
    r"[A-Za-z]\w*[._]\w+|[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*|\b[A-Z]{2,}\b|`[^`]+`|\w+\(\)|--?\w+-\w+|/\w+"
)
COMPARISON = re.compile(r"\bdifferences? between\b|\bversus\b|\bvs\.?\b|\bcompared? (?:to|with)\b|\?.+\?", re.I | re.S)
TWO_CLAUSES = re.compile(r",? and (?=(?:how|what|when|where|which|who|why|is|are|can|does|do|should)\b)", re.I)
LAY_START = re.compile(
    r"^\s*(how (?:do|can|should|would) (?:i|we|you)|why|what happens|is there a way|how come)\b", re.I
)
FOLLOW_UP = re.compile(
    r"^\s*(?:and|but|so|also|then|ok(?:ay)?,?)\s+|\b(?:it|its|that|this|they|them|those|these)\b", re.I
)
QUESTION_START = re.compile(
    r"^\s*(?:please\s+)?(?:how (?:do|can|should|would|could) (?:i|we|you|one)|how (?:to|does|do|is|are)"
    r"|what (?:is|are|does|do|happens)|which|why (?:is|are|does|do)|when (?:is|are|does|do|should)"
    r"|where (?:is|are|does|do|can)|can (?:i|we|you)|is|are|does|do)\s+",
    re.I,
)
VAGUE_UP_TO = 3
MAX_SUB_QUESTIONS = 4
# Lay words and what documentation tends to call them.
TERMS = {
    "speed": "performance",
    "fast": "performance optimization",
    "faster": "performance optimization",
    "slow": "performance optimization",
    "delete": "remove",
    "remove": "delete",
    "change": "modify update",
    "login": "authentication",
    "log": "logging",
    "password": "authentication credentials",
    "picture": "image file",
    "setup": "configuration install",
    "set": "configure setting",
    "save": "store persist",
    "find": "query lookup",
    "search": "query lookup",
    "error": "exception",
    "crash": "exception failure",
    "send": "deliver message",
    "safe": "security protection",
    "check": "validate",
    "table": "model database",
    "page": "view template",
    "form": "form field",
    "test": "testing",
    "background": "asynchronous task",
    "translate": "internationalization localization",
    "upload": "file upload",
    "link": "URL",
}


def choose(question: str) -> str:
    """One of simple, hyde, multi_query, decompose; `simple` unless something speaks against it."""
    if COMPARISON.search(question) or TWO_CLAUSES.search(question):
        return "decompose"
    if IDENTIFIER.search(question):
        return "simple"
    if len(stems.content_words(question)) <= VAGUE_UP_TO:
        return "multi_query"
    return "hyde" if LAY_START.match(question) else "simple"


def hypothetical(question: str) -> str:
    """A short passage as documentation might state it: the question turned into a statement, with expected terms."""
    topic = _topic(question)
    expected = " ".join(dict.fromkeys(TERMS[word] for word in stems.words(question) if word in TERMS))
    passage = f"{topic[:1].upper()}{topic[1:]}. This section describes {topic}"
    return f"{passage}, including {expected}." if expected else f"{passage}."


def wordings(question: str) -> str:
    """Three lines: the bare terms, the terms in documentation's words, and the topic as a heading."""
    bare = stems.content_words(question) or stems.words(question) or [question]
    swapped = [TERMS.get(word, word) for word in bare]
    if swapped == bare:
        swapped = [*bare, "reference"]
    lines = (" ".join(bare), " ".join(swapped), f"documentation about {_topic(question)}")
    return "\n".join(lines)


def sub_questions(question: str) -> str:
    """One question per line, at most four; a question in one part comes back as it is."""
    between = re.search(r"\bdifferences? between (.+?) and (.+?)[?.]*$", question, re.I | re.S)
    versus = re.search(r"^(.+?)\s+(?:versus|vs\.?|compared (?:to|with))\s+(.+?)[?.]*$", question, re.I | re.S)
    pair = between or versus
    if pair:
        first, second = (" ".join(side.split()) for side in pair.groups())
        return f"What is {_topic(first)}?\nWhat is {_topic(second)}?"
    pieces = [piece for part in re.split(r"(?<=\?)\s+", question) for piece in TWO_CLAUSES.split(part)]
    lines = [" ".join(piece.split()).rstrip("?., ") for piece in pieces]
    return "\n".join(f"{line[:1].upper()}{line[1:]}?" for line in lines[:MAX_SUB_QUESTIONS] if line)


def standalone(questions: list[str]) -> str:
    """The last question with what it leaves unsaid, taken from the one before."""
    last = " ".join(questions[-1].split())
    if len(questions) < 2 or not (FOLLOW_UP.search(last) or len(stems.content_words(last)) <= VAGUE_UP_TO):
        return last
    said = stems.stem_set(last)
    unsaid = [word for word in dict.fromkeys(stems.content_words(questions[-2])) if not stems.stem_set(word) <= said]
    bare = re.sub(r"^\s*(?:and|but|so|also|then)\s+", "", last, flags=re.I).rstrip("?. ")
    return f"{bare[:1].upper()}{bare[1:]} ({' '.join(unsaid)})?" if unsaid else last


def _topic(question: str) -> str:
    return QUESTION_START.sub("", " ".join(question.split())).rstrip("?.! ") or question
