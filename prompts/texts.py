"""The text of one prompt version as the pipeline sees it. Plain Python."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PromptText:
    """`version` is its label (`v3`), `content_hash` the SHA-256 of both blocks."""

    name: str
    version: str
    instructions: str
    examples: str
    content_hash: str

    @property
    def label(self) -> str:
        """`hyde v3`"""
        return f"{self.name} {self.version}"

    def system_blocks(self) -> tuple[str, ...]:
        """The stable blocks of the system prompt, in order, without empty ones."""
        return tuple(block for block in (self.instructions, self.examples) if block)


class UnfitText(ValueError):
    """The text cannot be a prompt version."""


def refuse_unfit(*, instructions: str, examples: str, note: str) -> None:
    """Raises UnfitText, saying what has to be different."""
    if not note.strip():
        raise UnfitText("a prompt version needs a note: what changed and why")
    if not instructions.strip():
        raise UnfitText("a prompt version needs instructions")
    for block, text in (("instructions", instructions), ("examples", examples)):
        for character, name in (("\0", "NUL characters"), ("\r", "carriage returns: its lines end in LF")):
            if character in text:
                raise UnfitText(f"the {block} of a prompt version hold no {name}")


def content_hash(*, instructions: str, examples: str) -> str:
    """SHA-256 over both blocks; a NUL between them, which neither can hold, keeps the split unambiguous."""
    return hashlib.sha256(f"{instructions}\0{examples}".encode()).hexdigest()
