"""The words of the failure table: what can be broken, and what a client must see then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SPARE_S = 0.5
"""What the rest of an answer may take beside the call that is waited for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One order to the sandbox (its README tells the kinds). `times` None = until the case is over."""

    endpoint: str
    kind: str
    options: Mapping[str, Any]
    times: int | None = None

    def ordered(self) -> dict[str, Any]:
        return {"kind": self.kind, **self.options}


@dataclass(frozen=True, slots=True)
class Within:
    """A time as an expression of the settings: `times` x `setting` + `waits_s` (between tries) + what the rest may take."""

    setting: str
    times: int = 1
    waits_s: float = 0.0

    def seconds(self, settings: object, *, spare_s: float = SPARE_S) -> float:
        allowed: float = getattr(settings, self.setting)
        return self.times * allowed + self.waits_s + spare_s

    def __str__(self) -> str:
        factor = f"{self.times} x " if self.times > 1 else ""
        return f"{factor}`{self.setting}` + {self.waits_s + SPARE_S:g} s"


@dataclass(frozen=True, slots=True)
class Sees:
    """What the client must get: a problem document has a `code`, an answer what was `degraded` for it.

    `partial`: the beginning of an answer was streamed, and it does not stand.
    """

    status: int
    within: Within
    code: str | None = None
    degraded: tuple[str, ...] = ()
    partial: bool = False

    @property
    def retry_after(self) -> bool:
        """Who is to come back later is told when; who has an answer is not."""
        return self.status == 503


@dataclass(frozen=True, slots=True)
class Case:
    """One way to break, and what must come of it.

    `refusing` names what is looked for at a port where nobody listens, `silent` at one where nothing is ever said:
    `chroma` or a provider. The transform is pinned so that each case asks what it breaks. `stream`: the answer is asked for
    as events. `asked_before`: the same question was answered while nothing was broken.
    """

    name: str
    breaks: str
    sees: Sees
    faults: tuple[Fault, ...] = ()
    refusing: str | None = None
    silent: str | None = None
    transform: str = "simple"
    stream: bool = False
    asked_before: bool = False

    @property
    def group(self) -> str:
        return self.name.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Failure:
    """One row of docs/failures.md."""

    breaks: str
    happens: str
    client: str
    left: str
    cases: tuple[Case, ...] = ()


def status(endpoint: str, code: int, *, times: int | None = None, body: Mapping[str, Any] | None = None) -> Fault:
    return Fault(endpoint, "status", {"status": code} | ({"body": body} if body else {}), times)


def fault(endpoint: str, kind: str, *, times: int | None = None, **options: Any) -> Fault:
    return Fault(endpoint, kind, options, times)
