"""Hours of work from the times of commits, by a rule that is printed beside the number. Plain Python."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

GAP_S = 2 * 3_600
FIRST_S = 30 * 60
RULE = (
    "Sessions of commits by author time: a gap of more than 2 hours begins a new session; the first commit of each counts as "
    "30 minutes. Merges, commits by bots and repeated patches (by git patch-id) are left out."
)
BOTS = frozenset(
    (
        *("allcontributors", "codecov", "dependabot", "github-actions", "greenkeeper", "imgbot", "mergify"),
        *("pre-commit-ci", "renovate", "whitesource-bolt"),
    )
)
"""that do not say so in their names' last word, as most do"""
_BOT = re.compile(r"\[bot\]|(?:^|[\s_-])bot$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Commit:
    """`authored_at` is in seconds since 1970. `patch_id` is empty where nothing was changed; merges have none."""

    sha: str
    parents: int
    authored_at: int
    name: str
    email: str
    patch_id: str = ""


@dataclass(frozen=True, slots=True)
class Hours:
    """`commits` were counted; the three numbers behind it were left out. Times are seconds since 1970."""

    seconds: int
    sessions: int
    commits: int
    merges: int
    bots: int
    duplicates: int
    first_at: int | None
    last_at: int | None

    @property
    def hours(self) -> Decimal:
        """To a tenth."""
        return (Decimal(self.seconds) / 3_600).quantize(Decimal("0.1"), ROUND_HALF_UP)


def hours_of(commits: Iterable[Commit]) -> Hours:
    """In any order. Of equal patches the one that was authored first counts."""
    everything = sorted(commits, key=lambda commit: (commit.authored_at, commit.sha))
    straight = [commit for commit in everything if commit.parents < 2]
    people = [commit for commit in straight if not is_bot(commit)]
    first_of_patch = {commit.patch_id: commit for commit in reversed(people)}
    counted = sorted(commit.authored_at for commit in first_of_patch.values())
    return Hours(
        seconds=sum(last - first + FIRST_S for first, last in sessions_of(counted)),
        sessions=len(sessions_of(counted)),
        commits=len(counted),
        merges=len(everything) - len(straight),
        bots=len(straight) - len(people),
        duplicates=len(people) - len(counted),
        first_at=counted[0] if counted else None,
        last_at=counted[-1] if counted else None,
    )


def sessions_of(times: Sequence[int]) -> list[tuple[int, int]]:
    """The first and the last moment of each session; `times` ascend."""
    sessions: list[tuple[int, int]] = []
    for moment in times:
        if sessions and moment - sessions[-1][1] <= GAP_S:
            sessions[-1] = (sessions[-1][0], moment)
        else:
            sessions.append((moment, moment))
    return sessions


def is_bot(commit: Commit) -> bool:
    """By the name, or by what stands before the @ of the address."""
    names = (commit.name.strip(), commit.email.partition("@")[0].rpartition("+")[2].strip())
    return any(name.lower() in BOTS or _BOT.search(name) for name in names)
