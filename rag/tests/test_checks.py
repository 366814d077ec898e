"""Every wrong combination of settings is told by its id, and the defaults are right."""

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from pytest_django import DjangoAssertNumQueries, Settings

from costs.models import ModelPrice
from rag.checks import check_prices, check_service

LIVE = {
    name: {"api_key": "k", "base_url": f"https://{name}.example/v1", "mode": "live"}
    for name in ("anthropic", "voyage", "openai", "cohere")
}
SIMULATED = {name: provider | {"mode": "simulated"} for name, provider in LIVE.items()}


def at(base_url: str, mode: str = "live") -> dict[str, dict[str, str]]:
    """Four live providers, of which anthropic is reached at that address."""
    return LIVE | {"anthropic": {"api_key": "k", "base_url": base_url, "mode": mode}}


def ids_with(**changes: object) -> list[str | None]:
    """The ids that the settings of a fresh machine, with those changes, give. (Django's tests turn DEBUG off.)"""
    with override_settings(**({"DEBUG": True} | changes)):
        return [message.id for message in check_service(None)]


def test_the_defaults_are_silent() -> None:
    assert ids_with() == []


@pytest.mark.django_db
def test_the_defaults_are_silent_with_the_database_too(settings: Settings) -> None:
    settings.DEBUG = True

    assert [message for message in run_checks(databases=["default"]) if str(message.id).startswith("rag.")] == []


def test_four_live_providers_are_silent() -> None:
    assert ids_with(PROVIDERS=LIVE, DEBUG=False) == []


def test_the_sandbox_with_debug_off_is_refused() -> None:
    assert ids_with(PROVIDERS=SIMULATED, DEBUG=False, ALLOW_SANDBOX=False) == ["rag.E001"]


def test_the_sandbox_with_debug_off_may_be_allowed() -> None:
    assert ids_with(PROVIDERS=SIMULATED, DEBUG=False, ALLOW_SANDBOX=True) == []


def test_a_mixture_of_real_and_simulated_is_warned_of() -> None:
    mixed = LIVE | {"cohere": SIMULATED["cohere"]}

    assert ids_with(PROVIDERS=mixed) == ["rag.W001"]
    assert ids_with(PROVIDERS=mixed, DEBUG=False) == ["rag.E001", "rag.W001"]


@pytest.mark.parametrize(
    "url",
    ["http://api.example/v1", "http://10.0.0.1:8080", "http://127.0.0.1.evil.example", "http://localhost.example"],
)
def test_a_live_key_in_the_clear_is_refused(url: str) -> None:
    assert ids_with(PROVIDERS=at(url)) == ["rag.E002"]


@pytest.mark.parametrize(
    "url", ["https://api.example/v1", "http://127.0.0.1:9000", "http://localhost:9000/v1", "http://[::1]:9000"]
)
def test_https_and_this_machine_are_fine(url: str) -> None:
    assert ids_with(PROVIDERS=at(url)) == []


def test_the_sandbox_may_be_reached_in_the_clear() -> None:
    assert "rag.E002" not in ids_with(PROVIDERS=at("http://sandbox:8199", mode="simulated"))


@pytest.mark.parametrize(
    ("model", "dimensions", "ids"),
    [
        ("voyage-3.5", 1000, ["rag.E003"]),
        ("voyage-3.5", 1536, ["rag.E003"]),
        ("voyage-4-lite", 0, ["rag.E003"]),
        ("voyage-3.5", 256, []),
        ("voyage-4-large", 2048, []),
        ("a-model-of-tomorrow", 1000, []),
    ],
)
def test_a_width_that_the_embedder_lacks_is_refused(model: str, dimensions: int, ids: list[str]) -> None:
    assert ids_with(EMBEDDING_MODEL=model, EMBEDDING_DIMENSIONS=dimensions) == ids


@pytest.mark.parametrize(
    ("model", "dimensions", "ids"),
    [
        ("text-embedding-3-small", 1537, ["rag.E003"]),
        ("text-embedding-3-small", 0, ["rag.E003"]),
        ("text-embedding-3-large", 3072, []),
        ("text-embedding-3-small", 1, []),
    ],
)
def test_a_width_that_the_fallback_lacks_is_refused(model: str, dimensions: int, ids: list[str]) -> None:
    assert ids_with(FALLBACK_EMBEDDING_MODEL=model, FALLBACK_EMBEDDING_DIMENSIONS=dimensions) == ids


def test_an_unknown_default_module_is_refused() -> None:
    assert ids_with(DEFAULT_MODULE="m9-magic") == ["rag.E004"]


def test_a_judge_that_grades_itself_is_warned_of(settings: Settings) -> None:
    assert ids_with(JUDGE_MODEL=settings.ANSWER_MODEL) == ["rag.W002"]


@pytest.mark.parametrize(
    "name", [f"{what}_TIMEOUT_S" for what in ("GENERATION", "TRANSFORM", "EMBEDDING", "RERANK", "CHROMA", "INGEST")]
)
@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_timeout_that_is_not_positive_is_refused(name: str, seconds: float) -> None:
    assert ids_with(**{name: seconds}) == ["rag.E005"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name",
    [
        "ANSWER_MODEL",
        "TRANSFORM_MODEL",
        "JUDGE_MODEL",
        "EMBEDDING_MODEL",
        "FALLBACK_EMBEDDING_MODEL",
        "RERANK_MODEL",
    ],
)
def test_a_model_without_a_price_is_refused(settings: Settings, name: str) -> None:
    setattr(settings, name, "a-model-of-tomorrow")

    (message,) = check_prices(None, databases=["default"])

    assert message.id == "rag.E006"
    assert name in message.msg


@pytest.mark.django_db
def test_a_price_of_another_provider_does_not_count(settings: Settings) -> None:
    settings.EMBEDDING_MODEL = settings.FALLBACK_EMBEDDING_MODEL

    assert [message.id for message in check_prices(None, databases=["default"])] == ["rag.E006"]


@pytest.mark.django_db
def test_without_a_named_database_the_prices_are_not_read(
    settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.ANSWER_MODEL = "a-model-of-tomorrow"

    with django_assert_num_queries(0):
        assert check_prices(None) == []


@pytest.mark.django_db
def test_a_price_that_is_yet_to_come_does_not_count(settings: Settings) -> None:
    known = ModelPrice.objects.get(model=settings.ANSWER_MODEL)
    ModelPrice.objects.create(
        provider="anthropic",
        model="claude-next",
        effective_from=known.effective_from.replace(year=2999),
        input_usd=1,
        source="a test",
    )
    settings.ANSWER_MODEL = "claude-next"

    assert [message.id for message in check_prices(None, databases=["default"])] == ["rag.E006"]


def test_an_address_without_a_key_is_refused(settings: Settings) -> None:
    known = {"api_key": "", "base_url": "https://proxy.example", "mode": "live"}
    settings.PROVIDERS = settings.PROVIDERS | {"cohere": known}

    assert "rag.E007" in [message.id for message in check_service(None)]
