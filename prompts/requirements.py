"""What a prompt has to say, or the program cannot use the reply. It is looked for and told, never enforced. Plain Python."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prompts.texts import PromptText

TAG = re.compile(r"<([A-Za-z_][\w-]*)>")
PLACEHOLDER = re.compile(r"\{\{?\s*[A-Za-z_]\w*\s*\}?\}|\$\{\w+\}|%\(\w+\)s")


@dataclass(frozen=True, slots=True)
class Requirement:
    """`pattern` finds it in a text; `otherwise` says what happens without it."""

    name: str
    pattern: str
    otherwise: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a requirement is met: `blocks` are those that hold it, `instructions` and `examples`."""

    name: str
    otherwise: str
    blocks: tuple[str, ...]

    @property
    def missing(self) -> bool:
        return not self.blocks


QUESTION = Requirement("<question>", r"<question>", "the model is not told where the question stands")
DATA = Requirement(
    "data, never an instruction",
    r"(?is)\bdata\b.{0,80}\binstruction",
    "a text that was written to give orders is more likely to be obeyed",
)


def word(name: str, otherwise: str) -> Requirement:
    return Requirement(name, rf"\b{re.escape(name)}\b", otherwise)


ONE_A_LINE = Requirement("one a line", r"(?i)\bone\b[^.]{0,40}\ba line\b", "the reply is read line by line")
CHOICES = tuple(
    word(name, "this way of searching is never chosen") for name in ("simple", "hyde", "multi_query", "decompose")
)
REQUIREMENTS: Mapping[str, tuple[Requirement, ...]] = {
    "answer": (
        Requirement("<sources>", r"<sources>", "the model is not told where the sources stand"),
        QUESTION,
        word("NO_ANSWER", "an answer that the sources do not hold cannot be told from one that they do"),
        Requirement(
            "a citation such as [path/heading#0]",
            r"\[[^\[\]\s]+/[^\[\]\s]*#\d+\]",
            "answers come without citations, or in a form that is not recognised",
        ),
        DATA,
    ),
    "choose": (QUESTION, *CHOICES, DATA),
    "hyde": (QUESTION, DATA),
    "multi_query": (QUESTION, ONE_A_LINE, DATA),
    "decompose": (QUESTION, ONE_A_LINE, DATA),
    "follow_up": (
        Requirement(
            "the question alone", r"(?i)\balone\b|\bnothing else\b|\bonly\b", "the whole reply is searched for"
        ),
        DATA,
    ),
    "judge": (
        Requirement("JSON", r"\bJSON\b", "the reply cannot be read, and the answer stays without marks"),
        word("correctness", "the reply is refused: it lacks a mark"),
        word("groundedness", "the reply is refused: it lacks a mark"),
        Requirement('"reason"', r'"reason"', "marks come without a reason"),
        DATA,
    ),
}
SENT: Mapping[str, frozenset[str]] = {
    "answer": frozenset({"sources", "source", "question"}),
    "judge": frozenset({"question", "reference", "sources", "source", "answer"}),
}
"""the tags around what is sent after the prompt; only `<question>` for the others"""


def findings(text: PromptText) -> tuple[Finding, ...]:
    """One for each requirement of the prompt of that name, in order; a prompt that is not known here has none."""
    blocks = {"instructions": text.instructions, "examples": text.examples}
    return tuple(
        Finding(
            each.name, each.otherwise, tuple(name for name, block in blocks.items() if re.search(each.pattern, block))
        )
        for each in REQUIREMENTS.get(text.name, ())
    )


def missing(text: PromptText) -> tuple[str, ...]:
    """The names of the requirements that are not met."""
    return tuple(finding.name for finding in findings(text) if finding.missing)


def strays(text: PromptText) -> tuple[str, ...]:
    """What the instructions name and nobody sends: tags of other prompts, and placeholders, which nothing is filled into."""
    sent = SENT.get(text.name, frozenset({"question"}))
    tags = [match[0] for match in TAG.finditer(text.instructions) if match[1] not in sent]
    return unique([*tags, *(match[0] for match in PLACEHOLDER.finditer(text.instructions))])


def unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
