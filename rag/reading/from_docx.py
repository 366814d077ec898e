"""DOCX to Markdown by way of HTML, once the archive has been found harmless."""

from io import BytesIO
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile, ZipInfo

import mammoth

from rag.reading.errors import UnreadableContent
from rag.reading.from_html import to_markdown
from rag.reading.limits import MIB, ReadingLimits, megabytes

_MAX_MEMBERS = 10_000
_CONTENTS = "[Content_Types].xml"
_XML = (".xml", ".rels")


def read(content: bytes, limits: ReadingLimits) -> tuple[str, str | None]:
    """Markdown; a DOCX has no title but its first heading. Pictures are left out."""
    try:
        with ZipFile(BytesIO(content)) as archive:
            _check_sizes(archive.infolist(), limits)
            _check_members(archive, limits)
    except (BadZipFile, NotImplementedError, EOFError) as error:
        raise UnreadableContent(f"is a damaged DOCX: {error}") from error
    except expat.ExpatError as error:
        raise UnreadableContent(f"is a damaged DOCX: its XML breaks off ({error})") from error
    html = mammoth.convert_to_html(BytesIO(content), convert_image=mammoth.images.img_element(_no_picture)).value
    text, _ = to_markdown(html)
    return text, None


def _check_sizes(members: list[ZipInfo], limits: ReadingLimits) -> None:
    if all(member.filename != _CONTENTS for member in members):
        raise UnreadableContent("is a ZIP archive, but not of a Word document")
    if len(members) > _MAX_MEMBERS:
        raise UnreadableContent(f"is an archive of {len(members):,} files, which no document needs")
    if sum(member.file_size for member in members) > limits.max_unpacked_bytes:
        raise _bomb(limits)


def _check_members(archive: ZipFile, limits: ReadingLimits) -> None:
    """Unpacks everything once, a little at a time: the sizes that an archive declares may be lies."""
    unpacked = 0
    for member in archive.infolist():
        parser = _strict_parser() if member.filename.lower().endswith(_XML) else None
        with archive.open(member) as stream:
            while part := stream.read(MIB):
                unpacked += len(part)
                if unpacked > limits.max_unpacked_bytes:
                    raise _bomb(limits)
                if parser is not None:
                    parser.Parse(part, False)
        if parser is not None:
            parser.Parse(b"", True)


def _strict_parser() -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(*_declaration: object) -> None:
    raise UnreadableContent("declares a document type in its XML, as attacks by entities do and documents never")


def _bomb(limits: ReadingLimits) -> UnreadableContent:
    return UnreadableContent(f"unpacks to more than {megabytes(limits.max_unpacked_bytes)}, as a zip bomb does")


def _no_picture(_image: object) -> dict[str, str]:
    return {"src": ""}
