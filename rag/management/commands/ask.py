"""`manage.py ask "How do I ...?"`: one question from the shell, traced and booked like any other."""

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from rag.ask import ask
from rag.errors import RagError
from rag.modules import AUTO, MODULES, TRANSFORMS
from rag.presenting import answer_body
from rag.values import Caller, Question


class Command(BaseCommand):
    help = "Ask a question and print the answer with its sources."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("question")
        parser.add_argument("--corpus", default=settings.DEFAULT_CORPUS)
        parser.add_argument("--module", default=settings.DEFAULT_MODULE, help=", ".join(MODULES))
        parser.add_argument("--transform", choices=(*TRANSFORMS, AUTO))
        parser.add_argument("--top-k", type=int, choices=range(1, 21), metavar="1..20")
        parser.add_argument("--json", action="store_true", help="the same JSON as POST /api/ask")

    def handle(self, *args: Any, **options: Any) -> None:
        question = Question(
            text=options["question"],
            corpus=options["corpus"],
            module=options["module"],
            transform=options["transform"],
            top_k=options["top_k"],
        )
        try:
            body = answer_body(ask(question=question, caller=Caller()))
        except RagError as error:
            raise CommandError(f"{error.title}: {error}") from error
        self.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) if options["json"] else told(body))


def told(body: dict[str, Any]) -> str:
    cost = "unpriced" if body["cost_usd"] is None else f"${body['cost_usd']:.6f}"
    lines = [body["answer"], ""]
    lines += [f"  [{source['id']}] {source['heading'] or source['title']}" for source in body["sources"]]
    lines += [
        "",
        f"{body['module']}, {body['transform']}, answer prompt {body['prompt_version']}, {body['model']} "
        f"({body['provider_mode']}), {cost}, {body['latencies_ms']['total']:.0f} ms, trace {body['trace_id']}",
    ]
    return "\n".join(lines)
