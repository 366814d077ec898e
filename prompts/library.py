"""Prompt versions as files: front matter, then the two blocks under marker lines."""

from dataclasses import dataclass
from pathlib import Path

LIBRARY = Path(__file__).with_name("library")
INSTRUCTIONS = "<!-- instructions -->\n"
EXAMPLES = "<!-- examples -->\n"


@dataclass(frozen=True, slots=True)
class PromptFile:
    prompt: str
    number: int
    purpose: str
    note: str
    instructions: str
    examples: str


def read_library(folder: Path = LIBRARY) -> tuple[PromptFile, ...]:
    """Every version file below `folder` (`<prompt>/v<number>.md`), by name and number."""
    files = [
        parse(path.read_text("utf-8"), name=path.parent.name, number=int(path.stem[1:]))
        for path in folder.glob("*/v*.md")
    ]
    return tuple(sorted(files, key=lambda file: (file.prompt, file.number)))


def parse(text: str, *, name: str, number: int) -> PromptFile:
    """One file. Front matter is `key: value` lines between two `---` lines; raises ValueError naming what is missing."""
    head, marker, body = text.removeprefix("---\n").partition("---\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    before, found, blocks = body.partition(INSTRUCTIONS)
    if not marker or not found or not {"purpose", "note"} <= fields.keys():
        raise ValueError(
            f"{name}/v{number}.md: expected front matter with purpose and note, then {INSTRUCTIONS.strip()}"
        )
    instructions, _, examples = blocks.partition(EXAMPLES)
    return PromptFile(name, number, fields["purpose"], fields["note"], instructions.strip(), examples.strip())
