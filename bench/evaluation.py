"""`python -m bench.evaluation`: what the evaluation itself costs, beside a running `make run`.

Asks 100 questions of m3 by `manage.py evaluate` on a copy of the instance, with the sandbox answering at once (0 ms), and times
the whole command, start of the process included. The first round warms what a second evaluation finds warm (vectors of the
questions, indexes); the rounds after it are what is told. The questions are the 30 of the shipped set in several wordings.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import islice, product
from pathlib import Path

from bench.serving import DATASET, ROOT, copy_of_the_instance, environment

QUESTIONS = 100
WORDINGS = ("{}", "In Django: {}", "{} I use version 5.2.", "A colleague asks: {}")


def written(folder: Path) -> Path:
    """A hundred questions in the format of the shipped set."""
    rows = [json.loads(line) for line in DATASET.read_text("utf-8").splitlines()]
    worded = (
        row | {"id": f"{row['id']}-{number}", "question": wording.format(row["question"])}
        for (number, wording), row in product(enumerate(WORDINGS), rows)
    )
    path = folder / "hundred.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in islice(worded, QUESTIONS)), "utf-8")
    return path


def seconds(questions: Path, settings: Mapping[str, str], *options: str) -> float:
    command = [sys.executable, "manage.py", "evaluate", "--dataset", str(questions), "--modules", "m3", *options]
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings, questions = environment() | copy_of_the_instance(folder), written(folder)
        print("| 100 questions of m3 | rounds, seconds each |\n| --- | --- |")
        for told, option in (("asked and scored", "--no-judge"), ("judged too", "--judge")):
            seconds(questions, settings, option)
            rounds = [seconds(questions, settings, option) for _ in range(options.rounds)]
            print(f"| {told} | {', '.join(f'{each:.1f}' for each in rounds)} |", flush=True)


if __name__ == "__main__":
    main()
