"""Sharing out what was billed in one sum among the calls that it was billed for. Plain Python: no Django, no clock."""

from collections.abc import Sequence

from costs.usage import KINDS, Usage


def apportioned(total: int, weights: Sequence[int]) -> list[int]:
    """Whole parts of `total` (negative ones of a negative total) by weight, none negative; the largest remainders get what is
    left over, the first of equal ones first. Where nothing weighs anything all weigh the same.
    """
    if total < 0:
        return [-part for part in apportioned(-total, weights)]
    whole = sum(weights)
    if not whole:
        weights, whole = [1] * len(weights), len(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda n: -(total * weights[n] % whole))
    for n in by_remainder[: total - sum(parts)]:
        parts[n] += 1
    return parts


def shared(billed: Usage, guesses: Sequence[Usage]) -> list[Usage]:
    """For each guess its share of what was billed for all of them; each kind of token adds up.

    A reply that broke off had said what its prompt counts, and a part of what it wrote: such guesses, known by their output,
    are kept as they are, and what is left goes to the others by the length of their prompts. If that leaves too little, or
    there are no others, all are shared by what was guessed.
    """
    told = [guess if guess.output_tokens else Usage() for guess in guesses]
    left = billed - sum(told, Usage())
    sizes = [0 if guess.output_tokens else size(guess) for guess in guesses]
    if any(sizes) and all(count >= 0 for count in left.as_dict().values()):
        rest = by_kind(left, dict.fromkeys(KINDS, sizes))
        return [kept + more for kept, more in zip(told, rest, strict=True)]
    return by_kind(billed, {kind: weights_of(kind, guesses) for kind in KINDS})


def by_kind(billed: Usage, weights: dict[str, list[int]]) -> list[Usage]:
    parts = {kind: apportioned(count, weights[kind]) for kind, count in billed.as_dict().items()}
    return [Usage(*each) for each in zip(*(parts[kind] for kind in KINDS), strict=True)]


def weights_of(kind: str, guesses: Sequence[Usage]) -> list[int]:
    """By what was guessed of that kind; if it was of none, by the length of the prompts."""
    own = [getattr(guess, kind) for guess in guesses]
    return own if any(own) else [size(guess) for guess in guesses]


def size(guess: Usage) -> int:
    return guess.prompt_tokens + guess.search_units
