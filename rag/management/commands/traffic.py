"""`manage.py traffic`: an hour of made-up requests with and without caches, what it cost, and what it had to cost."""

import json
import logging
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from rag.accounts import Arm, Comparison
from rag.replaying_traffic import TrafficRefused, comparisons
from rag.spending import COMPONENTS
from rag.traffic import PROFILES

QUESTIONS = Path(settings.BASE_DIR) / "evals" / "datasets" / "django-topics.jsonl"
REFUSED = 2
HEADS = ("profile", "requests", "", "USD per 1,000", *COMPONENTS, "answer hits", "prompt hits", "saving", "over oracle")


class Command(BaseCommand):
    help = (
        "Replay made-up traffic through m4 (no caches) and m6 in the sandbox, in simulated time, and tell what it cost. "
        "Exit status 1 when requests failed or the ledger is not the sandbox's bill."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--profile", choices=PROFILES, help="default: all")
        parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same log")
        parser.add_argument("--corpus", default=settings.DEFAULT_CORPUS)
        parser.add_argument(
            "--questions", type=Path, default=QUESTIONS, help="JSON Lines with `question`; default: %(default)s"
        )
        parser.add_argument("--json", action="store_true", help="one object, or a list of them for all profiles")

    def handle(self, *args: Any, **options: Any) -> None:
        profiles = [PROFILES[options["profile"]]] if options["profile"] else list(PROFILES.values())
        compared: list[Comparison] = []
        try:
            questions = read_questions(options["questions"])
            replay = comparisons(profiles, questions=questions, corpus=options["corpus"], seed=options["seed"])
            with quiet(options["verbosity"] < 2), closing(replay):
                for each in replay:
                    compared.append(each)
                    if not options["json"]:
                        self.tell(each, first=len(compared) == 1)
        except TrafficRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        if options["json"]:
            told = [as_json(each) for each in compared]
            self.stdout.write(json.dumps(told[0] if options["profile"] else told, indent=2))
        else:
            self.stdout.write("\n" + "\n".join(line for each in compared for line in accounts(each)))
        faults = [fault for each in compared for fault in each.faults]
        if faults:
            raise CommandError("\n".join(faults))

    def tell(self, comparison: Comparison, *, first: bool) -> None:
        if first:
            self.stdout.write(row(HEADS) + "\n" + row(["---"] * len(HEADS)))
        for cells in rows(comparison):
            self.stdout.write(row(cells))
        self.stdout.flush()


def read_questions(path: Path) -> list[str]:
    """Raises CommandError."""
    try:
        lines = path.read_text("utf-8").splitlines()
        return [str(json.loads(line)["question"]) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"no questions in {path}: {error}", returncode=REFUSED) from error


def as_json(comparison: Comparison) -> dict[str, Any]:
    plain, cached = comparison.plain, comparison.cached
    return {
        "profile": comparison.profile,
        "m4": arm_json(comparison, plain),
        "m6": arm_json(comparison, cached)
        | {
            "answer_cache_hit_rate": round(cached.answer_hit_rate, 4),
            "prompt_cache_hit_rate": rounded(comparison.prompt_hit_rate(cached)),
            "oracle_per_query_usd": round(float(comparison.bound) / len(cached.requests), 8),
            "oracle_keeping_refusals_per_query_usd": round(
                float(comparison.bound_keeping_refusals) / len(cached.requests), 8
            ),
        },
        "saving": round(comparison.saving, 4),
        "over_oracle": round(comparison.over_oracle, 4),
    }


def arm_json(comparison: Comparison, arm: Arm) -> dict[str, Any]:
    return {
        "requests": len(arm.requests),
        "cost_per_query_usd": round(float(arm.cost_per_query), 8),
        "components_usd": {name: round(float(usd), 8) for name, usd in comparison.components(arm).items()},
        "ledger_usd": float(arm.booked.usd),
        "bill_usd": float(arm.billed.usd),
    }


def rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 4)


def rows(comparison: Comparison) -> Iterator[list[str]]:
    """One row an arm, and one for each bound."""
    for arm in (comparison.plain, comparison.cached):
        caching = arm is comparison.cached
        yield [
            comparison.profile,
            f"{len(arm.requests):,}",
            arm.module,
            thousand(arm.cost_per_query),
            *(thousand(usd) for usd in comparison.components(arm).values()),
            share(arm.answer_hit_rate) if caching else "",
            share(comparison.prompt_hit_rate(arm)) if caching else "",
            share(comparison.saving) if caching else "",
            share(comparison.over_oracle) if caching else "",
        ]
    bounds = {"oracle": comparison.bound, "oracle, refusals kept": comparison.bound_keeping_refusals}
    for name, usd in bounds.items():
        yield [comparison.profile, "", name, thousand(usd / len(comparison.cached.requests)), *[""] * (len(HEADS) - 4)]


def accounts(comparison: Comparison) -> Iterator[str]:
    for arm in (comparison.plain, comparison.cached):
        verdict = "ledger = bill" if arm.booked == arm.billed else "ledger IS NOT bill"
        yield f"{comparison.profile}, {arm.module}: {verdict}: {arm.booked.told()}"


def row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def thousand(usd: Decimal) -> str:
    return f"{usd * 1_000:.3f}"


def share(part: float | None) -> str:
    return "-" if part is None else f"{part:.1%}"


@contextmanager
def quiet(wanted: bool) -> Iterator[None]:
    """Without the log of every request: `--verbosity 2` shows it."""
    before = logging.root.manager.disable
    if wanted:
        logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
