"""What a request holds between tags: sources, questions, an answer to judge."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape

SOURCE = re.compile(r"<source\b([^>]*)>(.*?)</source>", re.DOTALL)
IDENTITY = re.compile(r"""\bid\s*=\s*(?:"([^"]*)"|'([^']*)')""")


@dataclass(frozen=True, slots=True)
class Source:
    id: str
    text: str


def sources(texts: Iterable[str]) -> tuple[Source, ...]:
    """All sources in order; of several with one id the first. Entities are resolved."""
    found: dict[str, Source] = {}
    for text in texts:
        for attributes, body in SOURCE.findall(text):
            identity = IDENTITY.search(attributes)
            if identity:
                name = unescape(identity.group(1) or identity.group(2) or "")
                found.setdefault(name, Source(id=name, text=unescape(body)))
    return tuple(found.values())


def all_of(tag: str, texts: Iterable[str]) -> list[str]:
    """What stands inside each `<tag>`, in order, stripped, entities resolved."""
    pattern = re.compile(rf"<{tag}\b[^>]*>(.*?)</{tag}>", re.DOTALL)
    return [unescape(body).strip() for text in texts for body in pattern.findall(text)]


def questions(texts: Iterable[str]) -> list[str]:
    """Every `<question>` in order; where there is none, the last text as a whole."""
    kept = list(texts)
    return all_of("question", kept) or [kept[-1].strip() if kept else ""]
