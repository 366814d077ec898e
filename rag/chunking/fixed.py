"""The baseline: windows of equal length, blind to what they cut through."""

from rag.chunking.keys import Keys
from rag.values import ChunkDraft, ChunkRecipe, ParsedDocument

_SLUG = "c"


def cut_fixed(document: ParsedDocument, recipe: ChunkRecipe) -> tuple[ChunkDraft, ...]:
    """A window of `size` characters every `size - overlap`; the last may be shorter, blank ones are left out."""
    keys = Keys(document.source)
    step = recipe.size - recipe.overlap
    beyond = max(len(document.text) - recipe.overlap, 1)
    windows = ((start, min(start + recipe.size, len(document.text))) for start in range(0, beyond, step))
    return tuple(
        ChunkDraft(key=keys.next(_SLUG), text=document.text[start:end], heading="", start=start, end=end)
        for start, end in windows
        if document.text[start:end].strip()
    )
