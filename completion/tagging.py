"""A tagged page: what is drawn is named (heading, table cell, figure), so that it can be read aloud in order.

ReportLab draws and brackets each piece of content with a number; `add_structure` writes the tree that refers to these numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.writer import PdfFileWriter
from reportlab.pdfgen.canvas import Canvas

LANGUAGE = "en-GB"


@dataclass(slots=True)
class Element:
    """A node of the tree. `number` is that of its content; `alt` tells a figure in words; `says` is its text."""

    kind: str
    number: int | None = None
    alt: str = ""
    says: str = ""
    children: list["Element"] = field(default_factory=list)


class TaggedCanvas:
    """`canvas` with the tree of what is drawn on it. Whatever is drawn goes into `content` or `decoration`."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.tree = Element("Document")
        self._open = [self.tree]
        self._contents = 0

    @contextmanager
    def group(self, kind: str) -> Iterator[None]:
        """An element of elements: a table, a row, a list."""
        element = Element(kind)
        self._open[-1].children.append(element)
        self._open.append(element)
        yield
        self._open.pop()

    @contextmanager
    def content(self, kind: str, *, alt: str = "", says: str = "") -> Iterator[None]:
        self._open[-1].children.append(Element(kind, self._contents, alt, says))
        self._mark(f"/{kind} <</MCID {self._contents}>> BDC")
        self._contents += 1
        yield
        self._mark("EMC")

    @contextmanager
    def decoration(self) -> Iterator[None]:
        """Lines and tints that mean nothing when read aloud."""
        self._mark("/Artifact BMC")
        yield
        self._mark("EMC")

    def _mark(self, operator: str) -> None:
        self.canvas._code.append(operator)


def add_structure(writer: PdfFileWriter, tree: Element) -> None:
    """Hang the tree into the document, whose one page it describes."""
    page_ref = writer.root["/Pages"]["/Kids"].raw_get(0)
    root_ref = writer.add_object(generic.DictionaryObject({name("/Type"): name("/StructTreeRoot")}))
    owners: dict[int, generic.IndirectObject] = {}
    top = element_object(writer, tree, root_ref, page_ref, owners)
    in_order = writer.add_object(generic.ArrayObject([owners[number] for number in sorted(owners)]))
    parents = generic.DictionaryObject({name("/Nums"): generic.ArrayObject([generic.NumberObject(0), in_order])})
    root = root_ref.get_object()
    root["/K"] = top
    root["/ParentTree"] = writer.add_object(parents)
    root["/ParentTreeNextKey"] = generic.NumberObject(1)
    page = page_ref.get_object()
    page["/StructParents"] = generic.NumberObject(0)
    page["/Tabs"] = name("/S")
    writer.root["/StructTreeRoot"] = root_ref
    writer.root["/MarkInfo"] = generic.DictionaryObject({name("/Marked"): generic.BooleanObject(True)})
    writer.root["/Lang"] = generic.TextStringObject(LANGUAGE)
    writer.root["/ViewerPreferences"] = generic.DictionaryObject(
        {name("/DisplayDocTitle"): generic.BooleanObject(True)}
    )


def element_object(
    writer: PdfFileWriter,
    element: Element,
    parent: generic.IndirectObject,
    page: generic.IndirectObject,
    owners: dict[int, generic.IndirectObject],
) -> generic.IndirectObject:
    """Written with all below it; `owners` learns which element has which content."""
    told = generic.DictionaryObject({name("/Type"): name("/StructElem"), name("/S"): name(f"/{element.kind}")})
    told["/P"], told["/Pg"] = parent, page
    for key, text in (("/Alt", element.alt), ("/ActualText", element.says)):
        if text:
            told[key] = generic.TextStringObject(text)
    reference = writer.add_object(told)
    if element.number is not None:
        owners[element.number] = reference
        told["/K"] = generic.NumberObject(element.number)
    else:
        below = [element_object(writer, child, reference, page, owners) for child in element.children]
        told["/K"] = generic.ArrayObject(below)
    return reference


def name(text: str) -> generic.NameObject:
    return generic.NameObject(text)
