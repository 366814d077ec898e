"""`python -m bench.costs [--postgres postgres://user@host:5432/NAME]`: how fast the cost page and the list of traces are.

Makes 10,000 traces in 30 days in a SQLite database of its own, and with `--postgres` 1,000,000 in that database, which is used
again as it is when it has them. Serves the site from it (gunicorn, 16 threads, DEBUG on) and asks for each address several
times, one request at a time, as a signed-in member of staff. What is not rolled up yet is measured as well: 500 traces.
The statistics of the database are made first, as autovacuum does.
"""

import argparse
import math
import os
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx

from bench.ask import cpu_ms
from bench.serving import manage, web

JSON, TRACES = "/admin/costs.json", "/admin/rag/tracesummary/"
LIMITS_MS = {JSON: 200, TRACES: 300}
PASSWORD = "only-for-the-bench"  # noqa: S105
UNROLLED = 500
COUNT = "from rag.models import TraceSummary; print(TraceSummary.objects.count())"
LAST_DAY = """
from rag import clock, made_up_costs
made_up_costs.make_up(traces={traces}, days=1, seed={seed}, until=clock.now())
"""
ANALYZE = """
from django.db import connection
connection.cursor().execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
"""
SIZES = """
from django.db import connection
from rag.models import LatencyRollup, Rollup
print(Rollup.objects.count(), LatencyRollup.objects.count())
"""


def addresses(client: httpx.Client) -> Mapping[str, str]:
    """What is measured, by its name."""
    day = client.get(JSON).json()["daily"][-3]["date"]
    key = client.get(JSON).json()["by_key"][0]["api_key_id"]
    month = {"timestamp__gte": client.get(JSON).json()["since"], "provider_mode": "simulated"}
    drilled = {
        "a day": {"timestamp__gte": f"{day}T00:00:00+00:00", "timestamp__lt": f"{day}T23:59:59+00:00"},
        "a key": {"api_key_id": key},
        "a query type": {"transform": "decompose"},
        "a prompt version": {"prompt_version": "v1"},
        "status 402": {"status": "402"},
        "degraded": {"degraded": "any"},
        "one way of it": {"degraded": "generation_timeout"},
    }
    return {
        "the JSON": JSON,
        "the JSON, one module": f"{JSON}?module=m6-production",
        "the JSON, one kind": f"{JSON}?kind=eval",
        "the JSON, 7 days": f"{JSON}?days=7",
        "the JSON, today by the hour": f"{JSON}?days=1",
        "the page": "/admin/costs",
        "the list of traces": TRACES,
        "its 100th page": f"{TRACES}?p=100",
        **{f"the list, from {name}": f"{TRACES}?{urlencode(month | more)}" for name, more in drilled.items()},
        "the ledger": "/admin/costs/ledgerentry/",
    }


@contextmanager
def signed_in(environment: Mapping[str, str]) -> Iterator[tuple[httpx.Client, int]]:
    with web(environment) as (url, pid), httpx.Client(base_url=url, timeout=120, follow_redirects=True) as client:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("/admin/login/").text)
        assert token
        form = {"username": "bench", "password": PASSWORD, "csrfmiddlewaretoken": token[1], "next": "/admin/costs"}
        client.post("/admin/login/", data=form, headers={"Referer": url}).raise_for_status()
        yield client, pid


def measured(client: httpx.Client, pid: int, address: str, times: int) -> tuple[float, float, float, int]:
    """p50, p95 and CPU of the web process in ms, and the length of the answer in kB. Two requests go before."""
    for _ in range(2):
        answer = client.get(address).raise_for_status()
    before, walls = cpu_ms(pid), []
    for _ in range(times):
        started = time.perf_counter()
        client.get(address).raise_for_status()
        walls.append((time.perf_counter() - started) * 1000)
    cpu = (cpu_ms(pid) - before) / times
    return statistics.median(walls), statistics.quantiles(walls, n=20)[-1], cpu, len(answer.content) // 1000


def shell(code: str, environment: Mapping[str, str]) -> str:
    return manage("shell", "-v", "0", "-c", code, environment=environment).strip()


def filled(environment: Mapping[str, str], traces: int) -> str:
    """How it got there."""
    manage("migrate", "-v", "0", environment=environment)
    manage("createsuperuser", "--noinput", "--username", "bench", "--email", "", environment=environment)
    started = time.perf_counter()
    if int(shell(COUNT, environment)) < traces:
        manage("costs", "generate", "--traces", str(traces), "--days", "30", environment=environment)
    generated = time.perf_counter()
    told = manage("costs", "rebuild", environment=environment).strip().splitlines()[-1]
    shell(ANALYZE, environment)
    rows, timed = shell(SIZES, environment).split()[-2:]
    return (
        f"{told} into {int(rows):,} + {int(timed):,} rows by `costs rebuild` in {time.perf_counter() - generated:.0f} s"
        f" (rows made in {generated - started:.0f} s)"
    )


def bench(name: str, environment: Mapping[str, str], traces: int, times: int) -> bool:
    """Whether both limits were kept."""
    print(f"\n## {name}, {traces:,} traces in 30 days\n\n{filled(environment, traces)}\n")
    kept = True
    print("| | p50 ms | p95 ms | web CPU ms | kB |\n| --- | --- | --- | --- | --- |")

    def row(told: str, address: str) -> float:
        p50, p95, cpu, size = measured(client, pid, address, times)
        print(f"| {told} | {p50:.0f} | {p95:.0f} | {cpu:.0f} | {size:,} |", flush=True)
        return p95

    with signed_in(environment) as (client, pid):
        for told, address in addresses(client).items():
            kept = row(told, address) <= LIMITS_MS.get(address, math.inf) and kept
        shell(LAST_DAY.format(traces=UNROLLED, seed=time.time_ns() % 1_000_000_007), environment)
        row(f"the JSON, {UNROLLED} traces not rolled up yet", JSON)
    limits = ", ".join(f"{address} {ms} ms" for address, ms in LIMITS_MS.items())
    print(f"\nThe limits ({limits} at p95) {'were' if kept else 'WERE NOT'} kept.")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", help="the address of a database that the bench may fill")
    parser.add_argument("--traces", type=int, default=1_000_000, help="there (default: 1,000,000)")
    parser.add_argument("--times", type=int, default=40, help="requests for each address")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "ENV_FILE": "",
            "DATA_DIR": folder,
            "DEBUG": "true",
            "READ_RATE": "1000000/min",
            "LOG_LEVEL": "ERROR",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        sqlite = environment | {"DATABASE_URL": f"sqlite:///{Path(folder) / 'bench.sqlite3'}"}
        kept = [bench("SQLite", sqlite, 10_000, options.times)]
        if options.postgres:
            postgres = environment | {"DATABASE_URL": options.postgres}
            kept.append(bench("PostgreSQL", postgres, options.traces, options.times))
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    os.environ.pop("DATABASE_URL", None)
    main()
