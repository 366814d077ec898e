"""From settings, active prompts and the active corpus version to the parts of one question."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries, Settings

from costs.models import ModelPrice
from prompts.models import Prompt, PromptVersion
from prompts.publishing import activate, bump
from rag import clock, corpora, provider_stack, wiring
from rag.errors import CorpusNotReady, IndexOutdated, UnknownCorpus, UnknownModule, UnknownTransform
from rag.ingest import IngestReport, ingest
from rag.models import Corpus, VectorIndex
from rag.modules import MODULES
from rag.provider_stack import provider_mode
from rag.tests.factories import CorpusFactory
from rag.values import Question
from rag.wiring import Wired, configuration, parts_for, temperature

M1, M3 = MODULES["m1-baseline"], MODULES["m3-hybrid"]
pytestmark = pytest.mark.django_db


def wired(module: str = "m3-hybrid", corpus: str = "handbook", **wishes: Any) -> Wired:
    return parts_for(Question("When does leave lapse?", corpus, module, **wishes))


def bumped(instructions: str) -> PromptVersion:
    return bump(
        prompt=Prompt.objects.get(name="answer"), instructions=instructions, examples="", note="a test", author=None
    ).version


@pytest.fixture
def second(corpus: IngestReport, documents: Path) -> IngestReport:
    """A second version of the corpus `handbook`, active."""
    (documents / "pets.md").write_text("# Pets\n\nDogs may come on Fridays.\n", "utf-8")
    return ingest(path=documents, corpus="handbook")


def test_the_parts_are_those_of_module_prompt_and_version(corpus: IngestReport) -> None:
    found = wired()

    assert found.parts.module == M3
    assert (found.parts.prompt.name, found.parts.prompt.version) == ("answer", "v1")
    assert (found.serving.version, found.serving.chunker) == (corpus.version, "structural")
    assert found.provider_mode == "simulated"
    assert found.meter.attempts == []


def test_the_baseline_has_no_word_index(corpus: IngestReport) -> None:
    assert wired("m1-baseline").parts.lexical is None
    assert wired("m1-baseline").serving.chunker == "fixed"


def test_the_parts_work(corpus: IngestReport) -> None:
    parts = wired().parts
    assert parts.lexical is not None

    found = parts.lexical.search(query="carry over annual leave", limit=1)

    assert [hit.key for hit in found] == ["handbook/leave/leave-policy#0"]
    assert parts.passages.load([found[0].key])[found[0].key].title == "Leave policy"


def test_every_question_has_a_meter_of_its_own(corpus: IngestReport) -> None:
    assert wired().meter is not wired().meter


def test_a_request_may_override_the_module(corpus: IngestReport) -> None:
    module = wired(transform="hyde", top_k=2).parts.module

    assert (module.transform, module.top_k) == ("hyde", 2)


def test_a_prompt_is_seen_as_soon_as_it_is_activated(corpus: IngestReport, alice: User) -> None:
    wired()

    activate(version=bumped("Be brief."), who=alice, why="a test")

    assert (wired().parts.prompt.version, wired().parts.prompt.instructions) == ("v2", "Be brief.")


def test_a_prompt_that_is_not_activated_is_not_seen(corpus: IngestReport) -> None:
    wired()

    bumped("Be brief.")

    assert wired().parts.prompt.version == "v1"


def test_a_prompt_that_is_rolled_back_is_seen_at_once(corpus: IngestReport, alice: User) -> None:
    activate(version=bumped("Be brief."), who=alice, why="a test")
    wired()

    activate(version=PromptVersion.objects.get(prompt__name="answer", number=1), who=alice, why="a test")

    assert wired().parts.prompt.version == "v1"


def test_a_corpus_version_is_seen_as_soon_as_it_is_activated(corpus: IngestReport, documents: Path) -> None:
    assert wired().serving.version == "v1"
    (documents / "pets.md").write_text("# Pets\n\nDogs may come on Fridays.\n", "utf-8")

    ingest(path=documents, corpus="handbook")

    assert wired().serving.version == "v2"
    assert wired().parts.passages.load(["pets/pets#0"])


def test_a_corpus_version_that_is_rolled_back_is_seen_at_once(second: IngestReport) -> None:
    assert wired().serving.version == "v2"

    corpora.roll_back(corpus=Corpus.objects.get(slug="handbook"), who_id=None, why="a test")

    assert wired().serving.version == "v1"
    assert not wired().parts.passages.load(["pets/pets#0"])


def test_a_price_is_seen_as_soon_as_it_is_added(corpus: IngestReport, settings: Settings) -> None:
    before = wired().meter.prices

    ModelPrice.objects.create(
        provider="anthropic", model="claude-next", effective_from=clock.now(), input_usd=Decimal(1), source="a test"
    )

    assert before.find(provider="anthropic", model="claude-next", at=clock.now()) is None
    assert wired().meter.prices.find(provider="anthropic", model="claude-next", at=clock.now()) is not None


def test_a_link_is_seen_as_soon_as_it_is_changed(corpus: IngestReport) -> None:
    wired()

    Corpus.objects.update(url_template="https://docs.example/{source}#{slug}")

    (passage,) = wired().parts.passages.load(["handbook/leave/leave-policy#0"]).values()
    assert passage.url == "https://docs.example/handbook/leave#leave-policy"


def test_once_looked_up_a_question_takes_one_query(
    corpus: IngestReport, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    wired()

    with django_assert_num_queries(1):
        wired()


def test_an_unknown_corpus_is_refused(db: None) -> None:
    with pytest.raises(UnknownCorpus, match="nowhere"):
        wired(corpus="nowhere")


def test_an_unknown_module_is_refused(db: None) -> None:
    with pytest.raises(UnknownModule, match="m9"):
        wired("m9")


def test_an_unknown_transform_is_refused(db: None) -> None:
    with pytest.raises(UnknownTransform, match="shout"):
        wired(transform="shout")


def test_a_corpus_without_an_active_version_is_not_ready() -> None:
    row = CorpusFactory()

    with pytest.raises(CorpusNotReady, match="no active version"):
        wired(corpus=str(row.slug))


def test_a_corpus_without_the_modules_chunks_is_not_ready(providers: str, documents: Path) -> None:
    ingest(path=documents, corpus="handbook", chunkers=("fixed",))

    assert wired("m1-baseline").serving.chunker == "fixed"
    with pytest.raises(CorpusNotReady, match="--chunker structural"):
        wired("m3-hybrid")


@pytest.mark.parametrize(
    "change",
    [
        lambda settings: setattr(settings, "EMBEDDING_MODEL", "voyage-4"),
        lambda settings: settings.PROVIDERS["voyage"].update(mode="live"),
        lambda settings: setattr(settings, "EMBEDDING_DIMENSIONS", 512),
    ],
    ids=["model", "mode", "width"],
)
def test_an_index_of_another_model_mode_or_width_is_outdated(
    corpus: IngestReport, settings: Settings, change: Callable[[Settings], None]
) -> None:
    settings.PROVIDERS = {name: dict(known) for name, known in settings.PROVIDERS.items()}
    change(settings)

    with pytest.raises(IndexOutdated, match="ingest it again"):
        wired()


def test_a_version_without_the_embedders_index_is_outdated(corpus: IngestReport) -> None:
    VectorIndex.objects.filter(provider="voyage").delete()

    with pytest.raises(IndexOutdated, match="embedded with nothing"):
        wired()


def live(*names: str) -> dict[str, dict[str, str]]:
    return {
        name: {"api_key": "k", "base_url": "https://x.example", "mode": "live" if name in names else "simulated"}
        for name in ("anthropic", "voyage", "openai", "cohere")
    }


@pytest.mark.parametrize(
    ("real", "module", "mode"),
    [
        (("anthropic", "voyage", "cohere"), M3, "live"),
        (("anthropic", "voyage"), M1, "live"),
        (("anthropic", "voyage"), M3, "simulated"),
        (("anthropic", "cohere"), M1, "simulated"),
        (("voyage", "cohere", "openai"), M3, "simulated"),
        ((), M1, "simulated"),
    ],
)
def test_an_answer_is_live_when_every_provider_that_it_asks_is(
    settings: Settings, real: tuple[str, ...], module, mode: str
) -> None:
    settings.PROVIDERS = live(*real)

    assert provider_mode(module) == mode


@pytest.mark.parametrize(
    ("model", "degree"), [("claude-sonnet-4-6", 0.0), ("claude-sonnet-5-5", None), ("claude-unheard-of", None)]
)
def test_only_a_model_that_takes_a_temperature_is_given_one(model: str, degree: float | None) -> None:
    assert temperature(wiring.latest_prices(), model) == degree


def test_the_configuration_is_what_a_replay_compares(corpus: IngestReport) -> None:
    asked = wired(top_k=3)
    knobs = configuration(asked.module, asked.models)

    assert knobs == M3.config() | {
        "top_k": 3,
        "embedding_model": "voyage-3.5",
        "rerank_model": "rerank-v3.5",
        "max_tokens": 800,
        "temperature": 0.0,
    }


def test_both_spaces_are_indexed(settings: Settings) -> None:
    settings.FALLBACK_EMBEDDING_DIMENSIONS = 256

    specs = provider_stack.ingest_embedders()

    assert [spec.identity() for spec in specs] == [
        "voyage:voyage-3.5:1024:simulated",
        "openai:text-embedding-3-small:256:simulated",
    ]
