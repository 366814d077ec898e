"""Prompt versions as files: front matter, then the two blocks under marker lines. Plain Python.

A block is what stands between its marker and the line end before the next marker or the end of the file, byte for byte. A line
of the text that looks like a marker carries a backslash in the file.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prompts.texts import UnfitText, content_hash, refuse_unfit

LIBRARY = Path(__file__).with_name("library")
RULE = "---"
INSTRUCTIONS = "<!-- instructions -->"
EXAMPLES = "<!-- examples -->"
KEYS = ("name", "version", "purpose", "note", "author", "created", "content_hash")
MARKER = re.compile(r"\\*<!-- (?:instructions|examples) -->")
FIELD = re.compile(r"([a-z_]+):(?: (.*))?")
VERSION = re.compile(r"v([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class PromptFile:
    """`author` (a user name), `created` and `purpose` may be missing in files that people write."""

    prompt: str
    number: int
    purpose: str
    note: str
    instructions: str
    examples: str
    author: str | None = None
    created: datetime | None = None

    @property
    def content_hash(self) -> str:
        return content_hash(instructions=self.instructions, examples=self.examples)


class BadPromptFile(ValueError):
    """Not a prompt file; says which file, which line and what is wrong with it."""

    def __init__(self, path: Path, line: int, wrong: str) -> None:
        super().__init__(f"{path}:{line}: {wrong}")


def read_library(folder: Path = LIBRARY) -> tuple[PromptFile, ...]:
    """Every version file below `folder` (`<prompt>/v<number>.md`), by name and number. Raises BadPromptFile."""
    files = [parse(path.read_bytes(), path=path) for path in folder.glob("*/v*.md")]
    return tuple(sorted(files, key=lambda file: (file.prompt, file.number)))


def render(file: PromptFile) -> bytes:
    """The file that `parse` reads back as it was."""
    fields = {
        "name": file.prompt,
        "version": f"v{file.number}",
        "purpose": file.purpose,
        "note": file.note,
        "author": file.author,
        "created": file.created.astimezone(UTC).isoformat() if file.created else None,
        "content_hash": file.content_hash,
    }
    head = [f"{key}: {quoted(value)}" for key, value in fields.items() if value]
    body = [INSTRUCTIONS, escaped(file.instructions)]
    if file.examples:
        body += [EXAMPLES, escaped(file.examples)]
    return "".join(f"{part}\n" for part in (RULE, *head, RULE, *body)).encode()


def parse(data: bytes, *, path: Path) -> PromptFile:
    """Name and number stand in the front matter or in the path (`<name>/v<number>.md`). Raises BadPromptFile."""
    lines = decoded(data, path).removesuffix("\n").split("\n")
    if lines[0] != RULE or RULE not in lines[1:]:
        raise BadPromptFile(path, 1, f"a prompt file begins with front matter between two lines {RULE}")
    end = lines.index(RULE, 1)
    fields, at = front_matter(lines[1:end], path)
    instructions, examples = blocks(lines, end + 1, path)
    try:
        refuse_unfit(instructions=instructions, examples=examples, note=fields["note"])
    except UnfitText as error:
        raise BadPromptFile(path, end + 2, str(error)) from error
    if fields.get("content_hash") not in (None, content_hash(instructions=instructions, examples=examples)):
        wrong = (
            "the text is not the one that content_hash was made from: a new text has a new version and no content_hash"
        )
        raise BadPromptFile(path, at["content_hash"], wrong)
    return PromptFile(
        prompt=agreed("name", fields, at, path.absolute().parent.name, path),
        number=int(agreed("version", fields, at, path.stem, path).removeprefix("v")),
        purpose=fields.get("purpose", ""),
        note=fields["note"],
        instructions=instructions,
        examples=examples,
        author=fields.get("author"),
        created=moment(fields["created"], at["created"], path) if "created" in fields else None,
    )


def decoded(data: bytes, path: Path) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BadPromptFile(path, 1 + data.count(b"\n", 0, error.start), "not UTF-8") from error
    for character, wrong in (("\r", "a carriage return: lines end in LF alone"), ("\0", "a NUL character")):
        if character in text:
            raise BadPromptFile(path, 1 + text.count("\n", 0, text.index(character)), wrong)
    return text


def front_matter(lines: Iterable[str], path: Path) -> tuple[dict[str, str], dict[str, int]]:
    """The fields, and the line that each stands on."""
    fields: dict[str, str] = {}
    at: dict[str, int] = {}
    for number, line in enumerate(lines, start=2):
        found = FIELD.fullmatch(line)
        if not found or found[1] not in KEYS:
            raise BadPromptFile(path, number, f"expected `key: value` with a key of {', '.join(KEYS)}")
        if found[1] in fields:
            raise BadPromptFile(path, number, f"a second {found[1]}")
        fields[found[1]], at[found[1]] = unquoted(found[2] or "", number, path), number
        if not fields[found[1]].strip():
            raise BadPromptFile(path, number, f"{found[1]} is empty")
    if "note" not in fields:
        raise BadPromptFile(path, 1, "the front matter lacks a note: what changed and why")
    return fields, at


def blocks(lines: list[str], start: int, path: Path) -> tuple[str, str]:
    """Instructions and examples from the lines after the front matter."""
    if lines[start : start + 1] != [INSTRUCTIONS]:
        raise BadPromptFile(path, start + 1, f"expected {INSTRUCTIONS} after the front matter")
    start += 1
    markers = [index for index in range(start, len(lines)) if lines[index] in (INSTRUCTIONS, EXAMPLES)]
    split = markers[0] if markers else len(lines)
    for index in markers:
        if index != split or lines[index] == INSTRUCTIONS:
            raise BadPromptFile(
                path, index + 1, f"a second marker; where the text itself has this line, \\{lines[index]}"
            )
    return unescaped(lines[start:split]), unescaped(lines[split + 1 :])


def escaped(block: str) -> str:
    return "\n".join(f"\\{line}" if MARKER.fullmatch(line) else line for line in block.split("\n"))


def unescaped(lines: Iterable[str]) -> str:
    return "\n".join(line.removeprefix("\\") if MARKER.fullmatch(line) else line for line in lines)


def quoted(value: str) -> str:
    """As it is, or as a JSON string where a line could not hold it."""
    plain = value.isprintable() and value == value.strip() and not value.startswith('"')
    return value if plain else json.dumps(value, ensure_ascii=False)


def unquoted(value: str, line: int, path: Path) -> str:
    if not value.startswith('"'):
        return value.strip()
    try:
        text = json.loads(value)
        text.encode()
    except ValueError as error:
        raise BadPromptFile(path, line, "a value that begins with a quotation mark is one JSON string") from error
    if "\0" in text:
        raise BadPromptFile(path, line, "a NUL character")
    return str(text)


def agreed(key: str, fields: dict[str, str], at: dict[str, int], from_path: str, path: Path) -> str:
    """The prompt's name or its version, which front matter and path may both give, but not differently."""
    in_a_library = VERSION.fullmatch(path.stem)
    given = fields.get(key) or (from_path if in_a_library else None)
    if given is None:
        raise BadPromptFile(path, 1, f"the front matter lacks a {key}, and the path is not NAME/v1.md")
    if key == "version" and not VERSION.fullmatch(given):
        raise BadPromptFile(path, at[key], f"{given!r} is not a version: v1, v2, ...")
    if in_a_library and given != from_path:
        raise BadPromptFile(path, at[key], f"the {key} is {given}, but the path says {from_path}")
    return given


def moment(text: str, line: int, path: Path) -> datetime:
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadPromptFile(path, line, f"{text!r} is not a time with its zone, such as 2026-11-22T09:30:00+00:00")
