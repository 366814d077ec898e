"""The ids of rows and the names of collections begin anew in every test, so what the process remembers of them must go.

So must what it believes of the providers: one test's failures would open the breaker of the next.
"""

import pytest

from rag import provider_stack, wiring


@pytest.fixture(autouse=True)
def forgetful_process() -> None:
    for remembered in (wiring.cached_prompts, wiring.cached_prices, wiring.serving_for, wiring._lexical_index):
        remembered.cache_clear()
    provider_stack._breaker.cache_clear()
    for store in (wiring.vector_store(), wiring.build_store()):
        store._collections.clear()
