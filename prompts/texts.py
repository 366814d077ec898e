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

    def system_blocks(self) -> tuple[str, ...]:
        """The stable blocks of the system prompt, in order, without empty ones."""
        return tuple(block for block in (self.instructions, self.examples) if block)


def content_hash(*, instructions: str, examples: str) -> str:
    """SHA-256 over both blocks; a NUL between them, which neither can hold, keeps the split unambiguous."""
    return hashlib.sha256(f"{instructions}\0{examples}".encode()).hexdigest()
