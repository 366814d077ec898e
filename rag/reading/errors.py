"""Errors of reading.

ReadingError
|-- NoDocuments          nothing to read at a path: choose another
`-- UnreadableDocument   one file cannot be read: report it by name and go on with the rest

UnreadableContent stays inside `rag.reading`: `read_document` turns it into an UnreadableDocument.
"""


class ReadingError(Exception):
    """What the person who started an ingest can mend."""


class NoDocuments(ReadingError):
    """The path is missing, or holds nothing that can be read."""


class UnreadableDocument(ReadingError):
    """`source` is the file's path below the folder; `reason` is a sentence that its owner can act on."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class UnreadableContent(Exception):
    """Why some bytes cannot become a text, before it is known whose bytes they are."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
