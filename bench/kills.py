"""`python -m bench.kills`: is anything lost when things die? Kills, restarts and fills up the whole service mode under load.

Starts a PostgreSQL, a Redis, a sandbox and `manage.py service` of its own below a temporary folder, and `--parallel` clients
who ask through nginx over TLS, while the documents of a corpus are replaced again and again. Then, one phase after the other:

processes   `kill -9` of a random process every few seconds, the supervisor's among them, for `--minutes`
restarts    PostgreSQL, Redis and Chroma stopped, killed and hanging for some seconds, for a third of that
full-disk   the disk of the traces and that of PostgreSQL full to the last byte, for a third of that

At the end every answered request is held against its trace line, its row, its ledger entries and the sandbox's bill, and every
version of the corpus against what was written into it. Exit status 0: nothing is lost; 1: what is, in a list; 2: cannot start.
Needs nothing that runs already: PostgreSQL, redis-server and nginx have to be installed. Linux only.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import editions, killing, losses, outages, own_servers, small_disks
from bench.asking import EDITIONS, Load
from bench.editions import Ingests
from bench.ingest import write_corpus
from bench.kills_report import Run, report
from bench.own_site import NotStarted, Site, forget_settings, keep_logs, running_site
from bench.small_disks import CannotMount, SmallDisk
from bench.whole_service import questions
from ragsite import nginx
from ragsite.processes import free_port

PHASES = ("processes", "restarts", "full-disk")
LESSER = 3
"""Restarts and full disks get this part of the minutes each."""
CHUNKS = 500
TRACES_MB, DATABASE_MB = 256, 768
HONEST = ("no connection", "cut off", "502 ", "503 ", "504 ")
"""How a request may end that was not answered."""
CANNOT_START = 2


def main() -> None:
    options = parse()
    forget_settings()
    try:
        if "full-disk" in options.only:
            small_disks.private_mounts()
        demand_programs()
        with tempfile.TemporaryDirectory(prefix="kills-") as place:
            sys.exit(run_in(Path(place), options))
    except (own_servers.Missing, nginx.NginxMissing, CannotMount, NotStarted) as error:
        sys.stderr.write(f"bench.kills cannot start: {error}\n")
        sys.exit(CANNOT_START)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--parallel", type=int, default=8, help="clients, each with one request at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=10.0, help="seconds after which what was killed must be back")
    parser.add_argument("--only", type=phases, default=PHASES, help=f"of {','.join(PHASES)}; default: all")
    parser.add_argument("--report", type=Path, help="write what is printed at the end into this file as well")
    parser.add_argument("--logs", type=Path, help="keep the logs of all processes in this folder")
    return parser.parse_args()


def phases(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if not set(chosen) <= set(PHASES):
        raise argparse.ArgumentTypeError(f"phases are {', '.join(PHASES)}")
    return chosen


def demand_programs() -> None:
    """Raises Missing or NginxMissing, before anything is started."""
    own_servers.postgresql_binary("initdb")
    own_servers.redis_binary()
    own_servers.postgresql_user()
    nginx.binary()


def run_in(folder: Path, options: argparse.Namespace) -> int:
    """The exit status."""
    folder.chmod(0o755)  # PostgreSQL is another user's, and has to come through
    run = Run(options.only, options.minutes, options.parallel, options.seed)
    with ExitStack() as stack:
        disks = stack.enter_context(small_folders(folder)) if "full-disk" in options.only else None
        site = stack.enter_context(started(folder))
        if options.logs:
            stack.callback(keep_logs, site, options.logs)
        load, ingests = Load(site, ask_about(folder, site)), Ingests(site)
        ingests.first()
        load.start(options.parallel, options.seed)
        ingests.start()
        try:
            go_through(run, load, ingests, disks)
        except NotStarted as error:
            raise SystemExit(f"what was killed did not start again: {error}") from error
        finally:
            load.stop()
            ingests.stop()
        run.drained_s = losses.drained(site)
        accounts = losses.accounts(site, load.asked, ingests.attempts)
    faults = [*run.faults, *load.faults, *ingests.faults, *dishonest(load), *slow(run, options.limit), *accounts.lost]
    text = report(run, load, ingests, accounts, faults)
    print(text)
    if options.report:
        options.report.write_text(text, "utf-8")
    return 1 if faults else 0


@contextmanager
def small_folders(folder: Path) -> Iterator[tuple[SmallDisk, SmallDisk]]:
    with (
        small_disks.small_disk(folder / "traces", megabytes=TRACES_MB) as traces,
        small_disks.small_disk(folder / "postgresql", megabytes=DATABASE_MB) as database,
    ):
        yield traces, database


@contextmanager
def started(folder: Path) -> Iterator[Site]:
    with (
        own_servers.postgresql(folder / "postgresql", free_port(0)) as postgresql,
        own_servers.redis_server(folder / "redis", free_port(0)) as redis,
        running_site(folder, folder / "traces", postgresql, redis) as site,
    ):
        yield site


def ask_about(folder: Path, site: Site) -> dict[str, Sequence[str]]:
    """The questions of each corpus; that which stays as it is gets ingested here."""
    documents = folder / "documents"
    documents.mkdir()
    write_corpus(documents, CHUNKS)
    options = [word for name in editions.chunkers() for word in ("--chunker", name)]
    told = site.manage("ingest", str(documents), "--corpus", "bench", *options)
    if "is active" not in told:
        raise NotStarted(f"the first ingest failed: {told}")
    return {"bench": questions(documents), EDITIONS: editions.questions()}


def go_through(run: Run, load: Load, ingests: Ingests, disks: tuple[SmallDisk, SmallDisk] | None) -> None:
    draw = random.Random(run.seed)
    if "processes" in run.phases:
        victims = killing.Victims(load.site, ingests).all()
        run.blows += killing.kill_for(run.minutes, load, victims, draw)
    if "restarts" in run.phases:
        run.blows += outages.restart_for(run.minutes / LESSER, load, draw)
    if disks is not None:
        blows, run.full = outages.fill_for(run.minutes / LESSER, load, *disks)
        run.blows += blows
        run.faults += [fault for each in run.full for fault in each.faults()]
    time.sleep(outages.SETTLE_S)


def dishonest(load: Load) -> Iterator[str]:
    """Ends of requests that are neither an answer nor an honest word that there is none now."""
    ends = Counter(asked.end for asked in load.asked if not asked.answered and not asked.end.startswith(HONEST))
    yield from (f"{count} requests ended with {end}" for end, count in ends.items())


def slow(run: Run, limit_s: float) -> Iterator[str]:
    yield from (f"too slow: {blow.told()}" for blow in run.blows if not blow.within(limit_s))
    if run.drained_s is None:
        yield f"the queues were not empty {losses.DRAINED_S:.0f} s after the load was off"


if __name__ == "__main__":
    main()
