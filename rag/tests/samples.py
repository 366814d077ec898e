"""Files to read, built in code: good ones, broken ones and hostile ones."""

from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from pypdf import PdfReader, PdfWriter

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"


def written(folder: Path, name: str, content: bytes | str) -> Path:
    """A file with this content, its folders made."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pdf(*pages: str, title: str | None = None) -> bytes:
    """A PDF whose pages show these texts, one line each; an empty text gives a page that shows nothing."""
    numbers = range(len(pages))
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in numbers)
    bodies = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, text in enumerate(pages):
        drawing = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        resources = "/Resources<</Font<</F1 3 0 R>>>>/MediaBox[0 0 612 792]"
        bodies.append(f"<</Type/Page/Parent 2 0 R{resources}/Contents {5 + 2 * number} 0 R>>")
        bodies.append(f"<</Length {len(drawing)}>>stream\n{drawing}\nendstream")
    if title is not None:
        bodies.append(f"<</Title({title})>>")
    return _pdf_file(bodies, has_info=title is not None)


def encrypted_pdf(text: str, *, user_password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(BytesIO(pdf(text))))
    writer.encrypt(user_password=user_password, owner_password="owner", algorithm="RC4-128")
    buffer = BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def docx(body: str, *, prolog: str = "", extra: dict[str, bytes] | None = None) -> bytes:
    """A Word document with this WordprocessingML inside its body, and more files in its archive."""
    root = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    members = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{OFFICE}/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<?xml version="1.0" encoding="UTF-8"?>{prolog}{root}',
    }
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in (members | (extra or {})).items():
            archive.writestr(name, content)
    return buffer.getvalue()


def docx_heading(text: str, level: int) -> str:
    return f'<w:p><w:pPr><w:pStyle w:val="Heading{level}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'


def docx_paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def docx_table(*rows: tuple[str, ...]) -> str:
    def row(cells: tuple[str, ...]) -> str:
        return "<w:tr>" + "".join(f"<w:tc>{docx_paragraph(cell)}</w:tc>" for cell in cells) + "</w:tr>"

    return "<w:tbl>" + "".join(map(row, rows)) + "</w:tbl>"


def zip_bomb(*, unpacked: int) -> bytes:
    """A small DOCX with a member of `unpacked` zeros."""
    return docx(docx_paragraph("Boom"), extra={"word/media/image.bin": bytes(unpacked)})


def lying_zip_bomb(*, unpacked: int, declared: int) -> bytes:
    """The same with a directory that declares the member to be smaller than it is."""
    honest = zip_bomb(unpacked=unpacked)
    return honest.replace(unpacked.to_bytes(4, "little"), declared.to_bytes(4, "little"))


def entity_bomb() -> bytes:
    """A DOCX whose XML would grow to 10^9 words."""
    entities = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 10))
    prolog = f'<!DOCTYPE bomb [<!ENTITY e0 "word">{entities}]>'
    return docx(docx_paragraph("&e9;"), prolog=prolog)


def archive_of(**members: bytes) -> bytes:
    """A ZIP that is no document."""
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _pdf_file(bodies: list[str], *, has_info: bool) -> bytes:
    """Objects numbered from 1, with their table of offsets; the last is the document information, if there is one."""
    content = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(content))
        content += f"{number} 0 obj{body}endobj\n".encode("latin-1")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    info = f"/Info {len(bodies)} 0 R" if has_info else ""
    trailer = f"trailer<</Size {len(bodies) + 1}/Root 1 0 R{info}>>\nstartxref\n{len(content)}\n%%EOF"
    return content + f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")
