"""`python -m bench.cache_hit`: what an answer from the cache costs, against a bare view on the same server.

The web process is gunicorn beside a running `make run`. `/api/constant` (bench/constant.py) has the same authentication and
throttle as `/api/ask` and returns a constant. The two are asked in turns, one request at a time: both meet the same machine.
"""

import argparse
import statistics
import time

import httpx

from bench.ask import cpu_ms
from bench.serving import environment, manage, web

QUESTION = {"question": "How do I run code when a transaction commits?", "corpus": "django"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    rounds = parser.parse_args().rounds
    with web(environment(), application="bench.wsgi") as (url, pid), httpx.Client(base_url=url, timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {manage('apikey', 'create', 'bench').strip()}"
        walls: dict[str, list[float]] = {"/api/constant": [], "/api/ask": []}
        cpu = dict.fromkeys(walls, 0.0)
        for number in range(rounds + 20):
            for path in walls:
                before, started = cpu_ms(pid), time.perf_counter()
                answer = client.post(path, json=QUESTION).raise_for_status().json()
                if number >= 20:  # what comes first makes connections and imports
                    walls[path].append((time.perf_counter() - started) * 1000)
                    cpu[path] += cpu_ms(pid) - before
                    assert path == "/api/constant" or answer["cache"]["answer"] == "hit"
    print("| request | n | wall p50 ms | wall p95 ms | web CPU ms |\n| --- | --- | --- | --- | --- |")
    for path, took in walls.items():
        p95 = statistics.quantiles(took, n=20)[-1]
        print(f"| {path} | {rounds} | {statistics.median(took):.2f} | {p95:.2f} | {cpu[path] / rounds:.2f} |")
    print(
        f"\ndifference at p50: {statistics.median(walls['/api/ask']) - statistics.median(walls['/api/constant']):.2f} ms"
    )


if __name__ == "__main__":
    main()
