"""Reading one file, of any of the six formats, into a document."""

import stat
from pathlib import Path, PurePosixPath

from rag.reading.apart import parse_apart
from rag.reading.errors import UnreadableContent, UnreadableDocument
from rag.reading.limits import ReadingLimits, megabytes
from rag.reading.text import cleaned, decode, first_heading, looks_like_rst
from rag.values import ParsedDocument

TEXT_FORMATS = {".md": "markdown", ".markdown": "markdown", ".rst": "rst", ".txt": "txt"}
PARSED_FORMATS = {".html": "html", ".htm": "html", ".pdf": "pdf", ".docx": "docx"}
SUFFIXES = frozenset(TEXT_FORMATS) | frozenset(PARSED_FORMATS)

_MARKUP_OF_PARSED = {"html": "markdown", "docx": "markdown", "pdf": "plain"}


def read_document(*, path: Path, source: str, limits: ReadingLimits) -> ParsedDocument:
    """The document in the file at `path`, named `source` (as `find_documents` gives it).

    Raises UnreadableDocument, which names the file with its extension. HTML, PDF and DOCX are parsed in a process of
    their own, so that a hostile file can take no more than `limits` allow.
    """
    try:
        content = _content(path, limits)
        title, text, markup = _parsed(path, content, limits)
        return ParsedDocument(source=source, title=title, text=_checked(text, limits), markup=markup)
    except UnreadableContent as error:
        raise UnreadableDocument(_name(path, source), error.reason) from error


def _content(path: Path, limits: ReadingLimits) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableContent("is not a regular file")
        if found.st_size > limits.max_bytes:
            raise _too_large(found.st_size, limits)
        with path.open("rb") as file:
            content = file.read(limits.max_bytes + 1)
    except OSError as error:
        raise UnreadableContent(f"cannot be opened: {error.strerror}") from error
    if len(content) > limits.max_bytes:
        raise _too_large(len(content), limits)
    if not content.strip():
        raise UnreadableContent("is empty")
    return content


def _too_large(size: int, limits: ReadingLimits) -> UnreadableContent:
    return UnreadableContent(f"is {megabytes(size)}; files over {megabytes(limits.max_bytes)} are not read: split it")


def _parsed(path: Path, content: bytes, limits: ReadingLimits) -> tuple[str, str, str]:
    """Title, text and markup."""
    suffix = path.suffix.lower()
    if suffix in PARSED_FORMATS:
        format_name = PARSED_FORMATS[suffix]
        extract = parse_apart(format_name=format_name, content=content, limits=limits)
        text, markup, title = cleaned(extract.text), _MARKUP_OF_PARSED[format_name], extract.title
    elif suffix in TEXT_FORMATS:
        text = cleaned(decode(content))
        markup, title = _markup_of_text(TEXT_FORMATS[suffix], text), None
    else:
        raise UnreadableContent(unknown_suffix(path.name))
    return title or first_heading(text, markup) or PurePosixPath(path.name).stem, text, markup


def unknown_suffix(name: str) -> str:
    """The reason for refusing a file by its name."""
    known = ", ".join(sorted(SUFFIXES))
    return f"has an extension that is not read ({PurePosixPath(name).suffix or 'none'}); known: {known}"


def _markup_of_text(format_name: str, text: str) -> str:
    if format_name != "txt":
        return format_name
    return "rst" if looks_like_rst(text) else "plain"


def _checked(text: str, limits: ReadingLimits) -> str:
    if not text.strip():
        raise UnreadableContent("is empty")
    if len(text) > limits.max_characters:
        raise UnreadableContent(f"holds {len(text):,} characters; the limit is {limits.max_characters:,}: split it")
    return text


def _name(path: Path, source: str) -> str:
    return source if source.lower().endswith(path.suffix.lower()) else source + path.suffix
