"""HTML to Markdown: headings, lists, code and tables stay, what is only for a browser goes."""

from bs4 import BeautifulSoup
from bs4.dammit import EncodingDetector
from markdownify import ATX, MarkdownConverter

from rag.reading.errors import UnreadableContent
from rag.reading.limits import ReadingLimits
from rag.reading.text import decode

_NOT_CONTENT = "script, style, noscript, template, nav, iframe, object, svg, [hidden], a.headerlink"
_CONVERTER = MarkdownConverter(
    heading_style=ATX,
    bullets="-",
    strip=["a"],
    table_infer_header=True,
    escape_asterisks=False,
    escape_underscores=False,
    escape_misc=False,
)


def read(content: bytes, limits: ReadingLimits) -> tuple[str, str | None]:
    """Markdown, and the words of `<title>`, else of the first `<h1>`."""
    return to_markdown(_decoded(content))


def to_markdown(page: str) -> tuple[str, str | None]:
    soup = BeautifulSoup(page, "html.parser")
    title = _words(soup, "title") or _words(soup, "h1")
    for element in soup.select(f"{_NOT_CONTENT}, title"):
        element.decompose()
    for image in soup.select("img"):
        image.replace_with(str(image.get("alt") or ""))
    return _CONVERTER.convert_soup(soup), title


def _words(soup: BeautifulSoup, selector: str) -> str | None:
    element = soup.select_one(selector)
    return " ".join(element.get_text().split()) or None if element else None


def _decoded(content: bytes) -> str:
    """UTF-8 where it is valid, else the encoding that the page declares."""
    try:
        return decode(content)
    except UnreadableContent:
        declared = EncodingDetector.find_declared_encoding(content, is_html=True)
        if declared is None:
            raise
    try:
        return content.decode(declared)
    except (LookupError, UnicodeDecodeError) as error:
        raise UnreadableContent(f"is not the {declared} that it declares: convert it to UTF-8") from error
