"""PDF to text, page by page."""

from io import BytesIO

from pypdf import PasswordType, PdfReader
from pypdf.errors import PyPdfError

from rag.reading.errors import UnreadableContent
from rag.reading.limits import ReadingLimits


def read(content: bytes, limits: ReadingLimits) -> tuple[str, str | None]:
    """Pages joined by blank lines, and the title of the metadata."""
    try:
        reader = PdfReader(BytesIO(content))
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise UnreadableContent("is protected by a password: save it without one")
        _check_pages(len(reader.pages), limits)
        text = "\n\n".join(page.extract_text().strip() for page in reader.pages)
        title = reader.metadata.title if reader.metadata else None
    except PyPdfError as error:
        raise UnreadableContent(f"is a damaged PDF: {error}") from error
    if not text.strip():
        raise UnreadableContent("holds no text (scanned?): run text recognition over it first")
    return text, title.strip() if title else None


def _check_pages(count: int, limits: ReadingLimits) -> None:
    if count > limits.max_pages:
        raise UnreadableContent(f"has {count:,} pages; the limit is {limits.max_pages:,}: split it")
