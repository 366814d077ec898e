"""The foot of the page: how to check it, by whom it was signed, and the hashes of what it rests on."""

from dataclasses import replace
from itertools import product

from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel
from reportlab.lib.pagesizes import A4

from completion import fonts
from completion.figures import day
from completion.lettering import Style, draw, fitted
from completion.manifest import Manifest
from completion.recall_plot import GOLD, INK, QUIET
from completion.tagging import TaggedCanvas

LEFT, RIGHT = 50.0, A4[0] - 50.0
TOP = 197.0
CODE = 104.0
ROOM = RIGHT - LEFT - CODE - 22


def draw_foot(page: TaggedCanvas, manifest: Manifest, manifest_sha256: str) -> None:
    with page.decoration():
        page.canvas.setStrokeColor(GOLD)
        page.canvas.setLineWidth(0.6)
        page.canvas.line(LEFT, TOP, RIGHT, TOP)
    draw_check(page, manifest)
    draw_hashes(page, manifest, manifest_sha256)
    draw_code(page, manifest["verify_url"])


def draw_check(page: TaggedCanvas, manifest: Manifest) -> None:
    canvas, issuer = page.canvas, manifest["issuer"]
    url = Style(fonts.MONO, 8.6, INK)
    with page.content("H3"):
        draw(canvas, LEFT, TOP - 17, "Check it", Style(fonts.BOLD, 9, INK))
    with page.content("P"):
        draw(canvas, LEFT, TOP - 29, "Scan the code, or open the address and drop this file on the page:", quiet(7.4))
    with page.content("P"):
        size = fitted(manifest["verify_url"], url, width=ROOM, smallest=3)
        draw(canvas, LEFT, TOP - 41, manifest["verify_url"], replace(url, size=size))
    with page.content("P"):
        told = f"Issued on {day(manifest['issued_at'])} and signed by {issuer['name']} (PAdES, ECDSA P-256)."
        size = fitted(told, quiet(7.4), width=ROOM, smallest=3)
        draw(canvas, LEFT, TOP - 54, told, replace(quiet(7.4), size=size))


def draw_hashes(page: TaggedCanvas, manifest: Manifest, manifest_sha256: str) -> None:
    evidence = manifest["evidence"]
    rows = (
        ("manifest", manifest_sha256),
        ("certificate", manifest["issuer"]["certificate_sha256"]),
        ("scoreboard", evidence["scoreboard_sha256"]),
        ("dataset", evidence["dataset_sha256"]),
        ("price table", evidence["price_table_sha256"]),
        ("traces", evidence["traces_sha256"]),
        ("repository", manifest["work"]["head"]),
        ("service", evidence["commit"] or "unknown"),
    )
    with page.group("Table"):
        for number, (label, value) in enumerate(rows):
            y = TOP - 71 - 9.6 * number
            with page.group("TR"):
                with page.content("TH"):
                    draw(page.canvas, LEFT, y, label, Style(fonts.BOLD, 6.8, GOLD))
                with page.content("TD"):
                    draw(page.canvas, LEFT + 48, y, value, Style(fonts.MONO, 7.2, QUIET))


def draw_code(page: TaggedCanvas, url: str) -> None:
    """A QR code as one path of squares, so that no seams show between them."""
    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(url)
    code.make()
    side = CODE / code.moduleCount
    squares = page.canvas.beginPath()
    for down, across in product(range(code.moduleCount), repeat=2):
        if code.isDark(down, across):
            squares.rect(RIGHT - CODE + across * side, TOP - 17 - (down + 1) * side, side, side)
    with page.content("Figure", alt=f"QR code of {url}"):
        page.canvas.setFillColor(INK)
        page.canvas.drawPath(squares, stroke=0, fill=1)
    with page.content("P"):
        told = "The manifest is attached to this file."
        draw(page.canvas, RIGHT - CODE / 2, TOP - 17 - CODE - 12, told, quiet(6.2), "centre")


def quiet(size: float) -> Style:
    return Style(size=size, colour=QUIET)
