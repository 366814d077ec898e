"""`python -m bench.questions --url URL --key KEY`: the 30 questions through the API of a running service, module by module.

Prints Recall@5 of each module over the answerable questions, how many answers were given, what they cost, and whether every
trace replays as `identical`. Spans of chunks come from the database that the service uses (`manage.py` settings).
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
import httpx

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ragsite.settings")
django.setup()

from evals.matching import judge  # noqa: E402
from evals.metrics import recall_at  # noqa: E402
from evals.questions import EvalQuestion, load_questions  # noqa: E402
from rag import trace_reading  # noqa: E402
from rag.models import Chunk  # noqa: E402
from rag.replaying import replay  # noqa: E402

DATASET = Path(__file__).parent.parent / "evals" / "datasets" / "django-topics.jsonl"
MODULES = ("m1-baseline", "m2-chunking", "m3-hybrid", "m4-transform", "m6-production")


@dataclass(frozen=True, slots=True)
class Asked:
    question: EvalQuestion
    body: dict[str, Any]
    recall: float | None
    identical: bool


def ask_all(client: httpx.Client, module: str, questions: tuple[EvalQuestion, ...]) -> Iterator[Asked]:
    for question in questions:
        body = ask(client, {"question": question.question, "corpus": "django", "module": module})
        line = trace_reading.find_line(body["trace_id"])
        assert line is not None, f"no trace {body['trace_id']}"
        recall = recall_at(judge(question=question, ranked=spans(body)), k=5) if question.gold else None
        yield Asked(question, body, recall, replay(line).identical)


def ask(client: httpx.Client, body: dict[str, str]) -> dict[str, Any]:
    """The answer, after waiting as long as the service asks for when it is asked too fast."""
    while (response := client.post("/api/ask", json=body)).status_code == 429:
        time.sleep(float(response.headers["Retry-After"]))
    answer: dict[str, Any] = response.raise_for_status().json()
    return answer


def spans(body: dict[str, Any]) -> list[tuple[str, int, int]]:
    """(source, start, end) of the sources in their order."""
    rows = {
        key: (source, start, end)
        for key, source, start, end in Chunk.objects.filter(
            chunk_set__version__corpus__slug=body["corpus"],
            chunk_set__version__number=int(body["corpus_version"][1:]),
            key__in=[source["id"] for source in body["sources"]],
        ).values_list("key", "document__source", "start", "end")
    }
    return [rows[source["id"]] for source in body["sources"]]


def told(module: str, asked: list[Asked]) -> str:
    recalls = [each.recall for each in asked if each.recall is not None]
    costs = [each.body["cost_usd"] for each in asked]
    refused = sum(not each.body["answered"] for each in asked if not each.question.answerable)
    wrongly = sum(not each.body["answered"] for each in asked if each.question.answerable)
    identical = sum(each.identical for each in asked)
    return (
        f"| {module} | {sum(recalls) / len(recalls):.3f} | {refused} of {len(asked) - len(recalls)} | "
        f"{wrongly} of {len(recalls)} | {sum(costs) / len(costs):.5f} | {identical} of {len(asked)} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", required=True)
    parser.add_argument("--verbose", action="store_true", help="also print each question's recall and transform")
    options = parser.parse_args()
    questions = load_questions(DATASET)
    client = httpx.Client(base_url=options.url, headers={"Authorization": f"Bearer {options.key}"}, timeout=60)
    print("| module | Recall@5 | unanswerable refused | answerable refused | USD per question | replays identical |")
    print("| --- | --- | --- | --- | --- | --- |")
    for module in MODULES:
        asked = list(ask_all(client, module, questions))
        print(told(module, asked), flush=True)
        for each in asked if options.verbose else ():
            print(f"    {each.question.id} {each.question.kind:20} {each.body['transform']:12} {each.recall}")


if __name__ == "__main__":
    main()
