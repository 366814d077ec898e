"""How much of the machine one file may take."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Sizes are bytes, except `max_characters`. `seconds` bounds both wall-clock and processor time of a parser."""

    max_bytes: int = 20 * MIB
    max_characters: int = 5_000_000
    max_pages: int = 2_000
    max_unpacked_bytes: int = 200 * MIB
    seconds: float = 30.0
    memory_bytes: int = GIB


def megabytes(count: int) -> str:
    """For people: `20 MiB`, `0.4 MiB`."""
    return f"{count / MIB:.3g} MiB"
