"""`python -m bench.ingest [--chunks 20000]`: how fast documents become a verified, active corpus version.

Everything is the real thing on a fresh data directory (SQLite, a Chroma server over HTTP, both vector indexes), but the sandbox
runs with its hashing embedder, which costs next to nothing. The time spent waiting for embeddings is taken from the ledger
and shown apart. The corpus is seeded: sections of about 150 words, one chunk each.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragsite.processes import answers, free_port

ROOT = Path(__file__).parent.parent
SECTIONS = 50
WORDS = 150
PROGRAM = """
import json, sys, time
import django
django.setup()
from pathlib import Path
from django.core.management import call_command
call_command("migrate", verbosity=0)
from rag.ingest import ingest
from costs.models import LedgerEntry
clock, marks = time.perf_counter, []
started = clock()
report = ingest(path=Path(sys.argv[1]), corpus="bench", chunkers=("structural",),
                progress=lambda stage, done, total: marks.append((clock(), stage)))
total = clock() - started
waited = sum(LedgerEntry.objects.values_list("latency_ms", flat=True)) / 1000
stages = {}
for (then, _), (now, stage) in zip(marks, marks[1:]):
    stages[stage] = stages.get(stage, 0) + now - then
print(json.dumps({"chunks": sum(report.chunks.values()), "total_s": total, "embedding_s": waited, "stages_s": stages}))
"""


def write_corpus(folder: Path, chunks: int) -> None:
    draw = random.Random(7)
    vocabulary = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 10))) for _ in range(20_000)]
    for number in range(-(-chunks // SECTIONS)):
        sections = (
            f"## Section {number} {section}\n\n{' '.join(draw.choices(vocabulary, k=WORDS))}.\n"
            for section in range(SECTIONS)
        )
        (folder / f"document-{number:05}.md").write_text(f"# Document {number}\n\n" + "\n".join(sections))


@contextmanager
def running(command: list[str], probe: str) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not answers(probe):
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "documents")
        folder.mkdir()
        write_corpus(folder, options.chunks)
        sandbox, chroma = free_port(0), free_port(0)
        sandbox_command = [sys.executable, "-m", "sandbox", "--port", str(sandbox), "--embedder", "hashing"]
        binary = str(Path(sys.executable).with_name("chroma"))
        chroma_command = [binary, "run", "--host", "127.0.0.1", "--port", str(chroma), "--path", f"{place}/chroma"]
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "ragsite.settings",
            "ENV_FILE": "",
            "DATA_DIR": f"{place}/data",
            "SANDBOX_URL": f"http://127.0.0.1:{sandbox}",
            "CHROMA_URL": f"http://127.0.0.1:{chroma}",
        }
        with (
            running(sandbox_command, f"http://127.0.0.1:{sandbox}/healthz"),
            running(chroma_command, f"http://127.0.0.1:{chroma}/api/v2/heartbeat"),
        ):
            subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], cwd=ROOT, env=environment, check=True)


if __name__ == "__main__":
    main()
