"""What a client waits for when something is broken, what cancelled calls leave behind, and what an open breaker costs."""

import json
import math
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import django
import httpx

from bench.serving import web

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ragsite.settings")
django.setup()

from rag import breaking, drill  # noqa: E402
from rag.failure_table import ANTHROPIC, CASES  # noqa: E402
from rag.failures import Case, fault  # noqa: E402

PARALLEL = 8
CANCELLED = 500
ROUNDS = 200
SETTLE_S = 40.0
PATHS = {"anthropic": "/anthropic", "voyage": "/voyage/v1", "openai": "/openai/v1", "cohere": "/cohere"}


@dataclass(frozen=True, slots=True)
class Site:
    """`POST /api/ask` of a web process, as `rag.drill.Service`."""

    client: httpx.Client

    def ask(self, question: str, *, transform: str, stream: bool = False) -> drill.Reply:
        body = {
            "question": question,
            "corpus": "django",
            "module": drill.MODULE,
            "transform": transform,
            "stream": stream,
        }
        response = self.client.post("/api/ask", json=body, headers={"Cache-Control": "no-cache"})
        if response.headers["Content-Type"] == "text/event-stream":
            return drill.streamed_reply(response.content)
        return drill.Reply(response.status_code, response.json(), response.headers.get("Retry-After"))


@contextmanager
def site(
    settings: Mapping[str, str], key: str, folder: Path, *, application: str = "ragsite.wsgi"
) -> Iterator[tuple[Site, int]]:
    """A web process that has made its imports and connections, and its process id."""
    headers = {"Authorization": f"Bearer {key}"}
    with (
        web(settings, application=application, log=folder / "web.log") as (url, pid),
        httpx.Client(base_url=url, headers=headers, timeout=60) as client,
    ):
        yield Site(client), pid


def at_once(work: Callable[[int], drill.Result], times: int) -> list[drill.Result]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(work, range(times)))


def times(settings: dict[str, str], key: str, folder: Path, *, tries: int) -> None:
    """Every case of the failure table, with breakers that do not open."""
    print(f"{tries} tries of each case at {PARALLEL} parallel asks, breakers that never open (bench/patient_wsgi.py)\n")
    print("| case | p50 s | p99 s | within s | as promised |\n| --- | --- | --- | --- | --- |")
    usual = [case for case in CASES if not (case.refusing or case.silent)]
    run = partial(timed, sandbox=settings["SANDBOX_URL"], key=key, folder=folder, tries=tries)
    run(usual, settings)
    for case in CASES:
        if case.refusing:
            with breaking.refusing_port() as url:
                run([case], elsewhere(settings, case.refusing, url))
        if case.silent:
            with breaking.silent_port() as url:
                run([case], elsewhere(settings, case.silent, url))


def elsewhere(settings: Mapping[str, str], part: str, url: str) -> dict[str, str]:
    """The settings with Chroma or a provider at another address of this machine, which still counts as the sandbox's."""
    if part == "chroma":
        return {**settings, "CHROMA_URL": url}
    bases = {name: settings["SANDBOX_URL"] + path for name, path in PATHS.items()} | {part: url}
    named = {f"{name.upper()}_BASE_URL": base for name, base in bases.items()}
    return {**settings, **named, "SANDBOX_URL": "http://127.0.0.1"}


def timed(
    cases: Sequence[Case], settings: Mapping[str, str], *, sandbox: str, key: str, folder: Path, tries: int
) -> None:
    limits = SimpleNamespace(**{name: float(value) for name, value in settings.items() if name.endswith("_TIMEOUT_S")})
    with site(settings, key, folder, application="bench.patient_wsgi") as (service, _):
        for case in (drill.UNBROKEN, drill.FALLBACK):  # imports and connections are not what is timed
            at_once(partial(tried, case, service, sandbox, 0.0), tries)
        for case in cases:
            limit_s = case.sees.within.seconds(limits)
            results = at_once(partial(tried, case, service, sandbox, limit_s), tries)
            print(time_row(case, results, limit_s), flush=True)


def tried(case: Case, service: Site, sandbox: str, limit_s: float, _number: int) -> drill.Result:
    """One try, under a mark of its own, so that faults that are ordered once are met once."""
    mark = drill.mark_for(case, service=service, question=drill.QUESTION)
    question = drill.marked(drill.QUESTION, mark)
    for each in case.faults:
        breaking.order(sandbox, each, mark)
    began = time.monotonic()
    reply = service.ask(question, transform=case.transform, stream=case.stream)
    seconds = time.monotonic() - began
    if case.faults:
        breaking.take_back(sandbox, mark)
    return drill.judged(case, reply, seconds=seconds, limit_s=limit_s)


def time_row(case: Case, results: Sequence[drill.Result], limit_s: float) -> str:
    seconds = sorted(result.seconds for result in results)
    p50, p99 = statistics.median(seconds), seconds[math.ceil(0.99 * len(seconds)) - 1]
    passed = sum(result.passed for result in results)
    why = "".join(f"; {each}" for each in sorted({result.why for result in results if not result.passed})[:3])
    return f"| `{case.name}` | {p50:.2f} | {p99:.2f} | {limit_s:.1f} | {passed} of {len(results)}{why} |"


def cancelled(settings: dict[str, str], key: str, folder: Path) -> None:
    """Streamed asks whose clients leave, in the middle of an endless answer or while nothing comes at all."""
    for kind in ("endless_stream", "hang"):
        options = {"interval_ms": 50} if kind == "endless_stream" else {}
        breaking.order(settings["SANDBOX_URL"], fault(ANTHROPIC, kind, **options), f"left-{kind}")
    with site(settings, key, folder) as (service, pid), ThreadPoolExecutor(PARALLEL) as pool:
        with ThreadPoolExecutor(2 * PARALLEL) as crowd:  # as many as the web process has threads
            list(crowd.map(partial(left, service), range(8 * PARALLEL)))
        time.sleep(5)
        before, first = held(pid), len(statuses(folder))
        list(pool.map(partial(left, service), range(CANCELLED)))
        after, seconds = settled(pid, before, lambda: len(statuses(folder)) >= first + CANCELLED)
    gone = statuses(folder)[first:].count(499)
    print(f"\n{CANCELLED} streamed asks left by their clients, {PARALLEL} at once; {gone} traces say 499.")
    print(f"What the web process held before, and {seconds:.1f} s after the last had gone:\n")
    print("| | before | after |\n| --- | --- | --- |")
    for name in before:
        print(f"| {name} | {before[name]} | {after[name]} |")


def left(service: Site, number: int) -> None:
    kind, awaited = (("endless_stream", "delta"), ("hang", "sources"))[number % 2]
    body = {"question": f"{drill.QUESTION} (left-{kind} {number})", "transform": "simple", "stream": True}
    with service.client.stream("POST", "/api/ask", json=body) as response:
        next(line for line in response.iter_lines() if line == f"event: {awaited}")


def held(pid: int) -> dict[str, int]:
    """Threads and sockets of a process."""
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    return {
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
        "sockets": sum(link.startswith("socket:") for link in links),
        "open files": len(links),
    }


def settled(pid: int, before: Mapping[str, int], done: Callable[[], bool]) -> tuple[dict[str, int], float]:
    """What is held once it is no more than before, or after SETTLE_S; and the seconds that took."""
    began = time.monotonic()
    while True:
        now, waited = held(pid), time.monotonic() - began
        if waited > SETTLE_S or (done() and all(now[name] <= before[name] for name in before)):
            return now, waited
        time.sleep(0.2)


def statuses(folder: Path) -> list[int]:
    """Of all traces so far; the last line may be just being written."""
    text = "".join(path.read_text() for path in sorted((folder / "traces").glob("*.jsonl")))
    return [json.loads(line)["status"] for line in text.splitlines(keepends=True) if line.endswith("\n")]


def breakers(settings: dict[str, str], key: str, folder: Path) -> None:
    """The same questions to five web processes in turns: one unbroken, four with a dead provider and an open breaker."""
    with ExitStack() as stack:
        sites = {"nothing": settings} | {
            f"{part} {how}": elsewhere(settings, part, stack.enter_context(port()))
            for part in ("voyage", "cohere")
            for how, port in (("refused", breaking.refusing_port), ("hangs", breaking.silent_port))
        }
        asked = {name: stack.enter_context(site(moved, key, folder))[0] for name, moved in sites.items()}
        for service in asked.values():
            for _ in range(8):
                service.ask(drill.QUESTION, transform="simple")
        walls = in_turns(asked, settings["SANDBOX_URL"])
    print(
        f"\n{ROUNDS} questions to each of five web processes in turns, one at a time; breakers open but for their probes\n"
    )
    print("| dead | p50 ms | more than unbroken | embed p50 ms | rerank p50 ms |\n| --- | --- | --- | --- | --- |")
    usual = statistics.median(wall for wall, _, _ in walls["nothing"])
    for name, rows in walls.items():
        wall, embed, rerank = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {wall:.1f} | {wall - usual:+.1f} | {embed:.1f} | {rerank:.1f} |")


def in_turns(asked: Mapping[str, Site], sandbox: str) -> dict[str, list[tuple[float, float, float]]]:
    """Milliseconds: on the wire, in the embed step, in the rerank step. The sandbox's model has seen each question before."""
    walls: dict[str, list[tuple[float, float, float]]] = {name: [] for name in asked}
    draw = random.Random(1)
    for number in range(ROUNDS):
        question = f"{drill.QUESTION} (round {number})"
        body = {"model": "voyage-3.5", "input": [question]}
        httpx.post(f"{sandbox}/voyage/v1/embeddings", json=body, headers={"x-api-key": "bench"}).raise_for_status()
        for name in draw.sample(list(asked), len(asked)):
            began = time.perf_counter()
            reply = asked[name].ask(question, transform="simple")
            wall = (time.perf_counter() - began) * 1000
            assert reply.status == 200, f"{name}: {reply.told()}"
            spent = reply.body["latencies_ms"]
            walls[name].append((wall, spent["embed"] or 0.0, spent["rerank"] or 0.0))
    return walls
