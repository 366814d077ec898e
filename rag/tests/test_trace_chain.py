"""Closed days form a chain: no line can be changed, lost or moved without being told, in words of its own."""

import hashlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from rag import trace_files, trace_upkeep
from rag.tests.day_files import close, closed_days, folder, problems, raw, write
from rag.trace_proof import prove


def file_of(day: date) -> Path:
    path = trace_files.path_of(folder(), day)
    assert path is not None
    return path


def rewrite(day: date, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """What somebody with an editor does, also to a compressed file."""
    trace_upkeep.replace(file_of(day), change(raw(day)))


def altered(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"31 March", b"31 April"), *lines[1:]]


def forged_tombstone(lines: list[bytes]) -> list[bytes]:
    told = {"trace_id": "x", "forgotten": True, "sha256": hashlib.sha256(lines[0]).hexdigest()}
    return [json.dumps(told, separators=(",", ":")).encode(), *lines[1:]]


CHANGES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "an altered byte": (altered, "a line was altered"),
    "two lines that changed places": (lambda lines: [lines[1], lines[0], *lines[2:]], "changed places"),
    "a removed line": (lambda lines: lines[1:], "1 of 3 lines were removed"),
    "an added line": (lambda lines: [lines[0], *lines], "1 lines were added to 3"),
    "a line behind the end": (lambda lines: [*lines, lines[0]], "1 lines stand behind the close line"),
    "a close line that is gone": (lambda lines: lines[:-1], "the close line is gone"),
    "another close line": (
        lambda lines: [*lines[:-1], lines[-1].replace(b":3,", b":2,")],
        "is not the one in the chain",
    ),
    "a forged tombstone": (forged_tombstone, "the chain does not say that it was forgotten"),
}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("change", CHANGES)
def test_it_tells(change: str, compressed: bool) -> None:
    days = closed_days()
    if compressed:
        trace_upkeep.compress(folder(), days[1])
    assert problems() == []
    spoil, message = CHANGES[change]

    rewrite(days[1], spoil)

    (problem,) = problems()
    assert problem.startswith(str(days[1]))
    assert message in problem


def test_a_removed_file_is_told() -> None:
    days = closed_days()
    file_of(days[1]).unlink()

    assert problems() == [f"{days[1]}: the file is gone, and the chain does not say that it was deleted"]


def test_swapped_files_are_told_both() -> None:
    days = closed_days()
    one, other = file_of(days[0]), file_of(days[1])
    one.rename(folder() / "aside")
    other.rename(one)
    (folder() / "aside").rename(other)

    assert problems() == [
        f"{days[0]}: the file is that of {days[1]}: files were swapped or renamed",
        f"{days[1]}: the file is that of {days[0]}: files were swapped or renamed",
    ]


def test_a_compressed_file_that_was_cut_is_told() -> None:
    days = closed_days(1, lines=40)
    trace_upkeep.compress(folder(), days[0])
    path = file_of(days[0])
    path.write_bytes(path.read_bytes()[:-200])

    (problem,) = problems()

    assert "cannot be decompressed" in problem


@pytest.mark.parametrize("number", [0, 1])
def test_an_entry_taken_out_of_the_chain_is_told(number: int) -> None:
    closed_days()
    path = folder() / trace_files.CHAIN
    entries = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(entries[:number] + entries[number + 1 :]))

    assert any("does not follow on the entry before it" in problem for problem in problems())


def test_a_chain_that_was_written_anew_has_another_head() -> None:
    (day,) = closed_days(1)
    noted = prove(folder()).head
    (folder() / trace_files.CHAIN).unlink()

    rewrite(day, lambda lines: altered(lines)[:-1])
    close(day)

    assert problems() == []
    assert prove(folder()).head != noted


def test_a_stranger_verifies_it_with_nothing_but_the_description() -> None:
    """docs/traces.md in a dozen lines, without any of our code."""
    closed_days()
    previous = "0" * 64
    for entry in (folder() / "chain.jsonl").read_bytes().splitlines():
        told = json.loads(entry)
        assert told["previous"] == previous
        previous = hashlib.sha256(entry).hexdigest()
        *lines, close_line = (folder() / f"{told['day']}.jsonl").read_bytes().splitlines()
        hashes = [hashlib.sha256(line).hexdigest() for line in lines]
        assert (close_line, told["lines"]) == (entry, len(lines))
        assert told["sha256"] == hashlib.sha256("".join(f"{each}\n" for each in hashes).encode()).hexdigest()


def test_open_days_are_no_part_of_it() -> None:
    closed_days(1)
    write(date(2026, 12, 1))

    proof = prove(folder())

    assert (proof.closed, proof.problems) == (1, ())


def test_without_any_file_there_is_nothing_to_prove() -> None:
    assert problems() == []
