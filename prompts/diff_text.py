"""A diff of two prompt versions for a terminal."""

from collections.abc import Iterator, Sequence

from prompts.diffing import BlockDiff, Row, Side

CONTEXT = 3
"""unchanged lines that are shown around a change"""
RED, GREEN, BOLD, PLAIN = "\033[31m", "\033[32m", "\033[1;7m", "\033[0m"


def diff_lines(blocks: Sequence[BlockDiff], *, colour: bool) -> Iterator[str]:
    """`-` and `+` before lines; the words that differ within edited ones stand in [-...-] and {+...+}, or in reverse video."""
    for block in blocks:
        if not block.same:
            yield f"@@ {block.block} @@"
            yield from block_lines(block.rows, colour)


def block_lines(rows: Sequence[Row], colour: bool) -> Iterator[str]:
    near = {index for at, row in enumerate(rows) if not row.same for index in range(at - CONTEXT, at + CONTEXT + 1)}
    last_shown = -1
    for index, row in enumerate(rows):
        if index not in near:
            continue
        if index > last_shown + 1:
            yield "  ..."
        last_shown = index
        yield from row_lines(row, colour)
    if last_shown < len(rows) - 1:
        yield "  ..."


def row_lines(row: Row, colour: bool) -> Iterator[str]:
    if row.same and row.old:
        yield f"  {visible(row.old.text)}"
        return
    within = row.old is not None and row.new is not None
    if row.old:
        yield side_line("-", row.old, ("[-", "-]") if within else ("", ""), RED if colour else "")
    if row.new:
        yield side_line("+", row.new, ("{+", "+}") if within else ("", ""), GREEN if colour else "")


def side_line(sign: str, side: Side, brackets: tuple[str, str], tint: str) -> str:
    before, after = brackets
    if tint and before:
        before, after = BOLD, f"{PLAIN}{tint}"
    told = "".join(
        f"{before}{visible(piece.text)}{after}" if piece.changed else visible(piece.text) for piece in side.pieces
    )
    return f"{tint}{sign} {told}{PLAIN if tint else ''}"


def visible(text: str) -> str:
    """Without what a terminal would obey: control characters are spelled out."""
    return "".join(
        character if character.isprintable() or character in "\t\u00a0" else ascii(character)[1:-1]
        for character in text
    )
