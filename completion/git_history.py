"""The commits of a repository that nobody vouches for.

Git is asked to find the repository and its newest commit. Whatever reads content runs in an empty repository of ours that
borrows the objects: hooks, attributes, replacements, grafts and configuration of the given one are not read there, so that
nothing it says can be carried out. Nothing is fetched: a history that is not complete is refused.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from completion.hours import Commit

QUIET = ("-c", "core.commitGraph=false", "-c", "core.bigFileThreshold=2m", "-c", "core.fsmonitor=false")
FIELDS = "%H%x00%P%x00%at%x00%an%x00%ae"
LONGEST_TOLD = 300


class HistoryRefused(Exception):
    """The path holds no complete history; the message says what to do."""


@dataclass(frozen=True, slots=True)
class History:
    """`head` is the id of the newest commit."""

    head: str
    commits: tuple[Commit, ...]


@dataclass(frozen=True, slots=True)
class Found:
    objects: Path
    object_format: str
    head: str


def read_history(path: Path, *, timeout_s: float) -> History:
    """All commits that HEAD reaches. Raises HistoryRefused."""
    deadline = time.monotonic() + timeout_s
    found = find(path, deadline)
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        room = Path(folder) / "room.git"
        run(["init", "--quiet", "--bare", "--template=", f"--object-format={found.object_format}", str(room)], deadline)
        alternates = room / "objects" / "info" / "alternates"
        alternates.parent.mkdir(parents=True, exist_ok=True)
        alternates.write_bytes(os.fsencode(found.objects) + b"\n")
        patches = dict(patch_ids(room, found.head, deadline))
        return History(found.head, tuple(commits(room, found.head, patches, deadline)))


def find(path: Path, deadline: float) -> Found:
    """Raises HistoryRefused for what is no repository, is empty, or is not complete."""
    folder = path.expanduser().resolve()
    if not folder.is_dir():
        raise HistoryRefused(f"{path} is no folder: give the folder of a git repository.")
    asked = ["-C", str(folder), "-c", "safe.directory=*", "rev-parse"]
    try:
        told = run([*asked, "--is-shallow-repository", "--git-common-dir", "--show-object-format"], deadline, folder)
    except GitFailed as error:
        raise HistoryRefused(f"{path} is no git repository: give the folder that holds its .git.") from error
    shallow, common, object_format = told.split("\n")[:3]
    if shallow == "true":
        raise HistoryRefused(
            f"{path} is a shallow clone, which lacks most of its history: `git fetch --unshallow` first."
        )
    objects = (folder / common / "objects").resolve()
    if any((objects / "pack").glob("*.promisor")):
        raise HistoryRefused(f"{path} is a partial clone, which lacks contents: clone it again without --filter.")
    if "\n" in str(objects):
        raise HistoryRefused("The path of the repository has a line break in it.")
    try:
        head = run([*asked, "--verify", "--quiet", "HEAD^{commit}"], deadline, folder).strip()
    except GitFailed as error:
        raise HistoryRefused(f"{path} has no commit yet, or its HEAD points to none.") from error
    return Found(objects, object_format, head)


def patch_ids(room: Path, head: str, deadline: float) -> Iterator[tuple[str, str]]:
    """The id of a commit -> that of its patch, for all that are no merges and change something."""
    log = [*git(room), "log", "--no-merges", "--patch", "--root", "--full-index", "--no-renames", "--no-ext-diff"]
    log += ["--no-textconv", "--no-color", "--no-show-signature", "--no-notes", "--format=commit %H", head, "--"]
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        source = subprocess.Popen(
            log, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment()
        )
        sink = subprocess.Popen(
            [*git(room), "patch-id", "--stable"], stdin=source.stdout, stdout=output, stderr=errors, env=environment()
        )
        try:
            if source.stdout:
                source.stdout.close()
            failed = [each.wait(left(deadline)) for each in (sink, source)]
        except subprocess.TimeoutExpired as error:
            raise too_slow() from error
        finally:
            for each in (source, sink):
                each.kill()
                each.wait()
        if any(failed):
            raise HistoryRefused(f"The history cannot be read: {ending(errors)}")
        output.seek(0)
        for line in output:
            patch, commit = line.decode("ascii").split()
            yield commit, patch


def commits(room: Path, head: str, patches: dict[str, str], deadline: float) -> Iterator[Commit]:
    asked = ["log", "--no-color", "--no-show-signature", "--no-notes", "--no-mailmap", "--encoding=UTF-8"]
    try:
        told = run([*asked, f"--format={FIELDS}", head, "--"], deadline, room=room)
    except GitFailed as error:
        raise HistoryRefused(f"The history cannot be read: {error}") from error
    for line in told.rstrip("\n").split("\n"):
        sha, parents, authored_at, name, email = line.split("\0")
        yield Commit(sha, len(parents.split()), int(authored_at or 0), name, email, patches.get(sha, ""))


class GitFailed(Exception):
    """Git ended with an error; the message is what it said."""


def run(arguments: Sequence[str], deadline: float, folder: Path | None = None, room: Path | None = None) -> str:
    """What git writes. `folder` is not searched upwards. Raises GitFailed, HistoryRefused when the time is up."""
    command = [*git(room), *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment(folder), timeout=left(deadline)
        )
    except subprocess.TimeoutExpired as error:
        raise too_slow() from error
    except FileNotFoundError as error:
        raise HistoryRefused("git is not installed: the hours are read by it.") from error
    if done.returncode:
        raise GitFailed(done.stderr.decode("utf-8", "replace").strip()[:LONGEST_TOLD])
    return done.stdout.decode("utf-8", "replace")


def git(room: Path | None) -> list[str]:
    return ["git", "--no-pager", *QUIET, *(["--git-dir", str(room)] if room else [])]


def environment(folder: Path | None = None) -> dict[str, str]:
    """Nothing of ours but the search path: no user's or system's configuration, no protocol to fetch by."""
    given = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
    }
    return given | ({"GIT_CEILING_DIRECTORIES": str(folder.parent)} if folder else {})


def left(deadline: float) -> float:
    """Seconds. Raises HistoryRefused when there are none."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise too_slow()
    return remaining


def too_slow() -> HistoryRefused:
    return HistoryRefused("The history takes too long to read: give it more time with --history-timeout.")


def ending(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode("utf-8", "replace").strip()[:LONGEST_TOLD] or "git stopped without a word"
