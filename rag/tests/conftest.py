"""The ids of rows and the names of collections begin anew in every test, so what the process remembers of them must go."""

import pytest

from rag import wiring


@pytest.fixture(autouse=True)
def forgetful_wiring() -> None:
    for remembered in (wiring.cached_prompts, wiring.cached_prices, wiring.serving_for, wiring._lexical_index):
        remembered.cache_clear()
    for store in (wiring.vector_store(), wiring.build_store()):
        store._collections.clear()
