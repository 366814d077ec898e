"""What a run will cost: by what the same configuration cost last time, or else by the price table."""

from decimal import Decimal

from django.conf import settings

from costs.prices import PriceTable, cost
from costs.usage import Usage
from evals.models import EvalRun
from rag import clock, wiring
from rag.modules import AUTO, RECIPES, Module, find_module
from rag.providers.contracts import CHARACTERS_PER_TOKEN

QUESTION_TOKENS = 20
INSTRUCTION_TOKENS = 2_000
ANSWER_TOKENS = 150
TRANSFORMS_INPUT = Usage(input_tokens=900, output_tokens=120)
"""the choice and one transform"""


def expected_cost(run: EvalRun) -> Decimal | None:
    """USD for one question of the run, its judging included; None when a model that it asks has no known price."""
    alike = EvalRun.objects.filter(
        state=EvalRun.State.DONE,
        module=run.module,
        model_names=run.model_names,
        judge_model=run.judge_model,
        provider_mode=run.provider_mode,
        answer_cache=run.answer_cache,
    )
    last = alike.exclude(pk=run.pk).order_by("-finished_at").first()
    return last.cost_usd / last.questions if last else by_price_table(run, wiring.latest_prices())


def by_price_table(run: EvalRun, prices: PriceTable) -> Decimal | None:
    """On the high side: as if every chunk were full and every question transformed."""
    module = find_module(run.module)
    sources = module.top_k * RECIPES[module.chunker].sent_size // CHARACTERS_PER_TOKEN
    calls = [
        ("voyage", settings.EMBEDDING_MODEL, Usage(input_tokens=QUESTION_TOKENS)),
        ("anthropic", settings.ANSWER_MODEL, Usage(INSTRUCTION_TOKENS + sources, output_tokens=ANSWER_TOKENS)),
        *optional_calls(run, module, sources),
    ]
    costs = []
    for provider, model, usage in calls:
        price = prices.find(provider=provider, model=model, at=clock.now())
        if price is None:
            return None
        costs.append(cost(usage=usage, price=price))
    return sum(costs, Decimal(0))


def optional_calls(run: EvalRun, module: Module, sources: int) -> list[tuple[str, str, Usage]]:
    judging = Usage(sources + 2 * ANSWER_TOKENS + INSTRUCTION_TOKENS // 4, output_tokens=ANSWER_TOKENS // 2)
    possible = [
        (module.rerank, ("cohere", settings.RERANK_MODEL, Usage(search_units=1))),
        (module.transform == AUTO, ("anthropic", settings.TRANSFORM_MODEL, TRANSFORMS_INPUT)),
        (bool(run.judge_model), ("anthropic", run.judge_model, judging)),
    ]
    return [call for asked, call in possible if asked]
