"""What is known of every provider now: what its breaker believes, whether an outage lasts, how its last calls ended."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Count

from costs.models import LedgerEntry
from rag import provider_stack
from rag.models import Outage
from rag.providers.breaker import Snapshot

RECENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """`mode` and `breaker` are None for Chroma, which is not paid and has no breaker; `calls` are counts by outcome."""

    name: str
    host: str
    mode: str | None
    breaker: Snapshot | None
    outage: Outage | None
    calls: tuple[tuple[str, int], ...]


def provider_health(*, now: datetime) -> tuple[ProviderHealth, ...]:
    """The providers in the order of the settings, then Chroma. The breakers are those of this process."""
    breakers = provider_stack.breaker_states()
    outages = {outage.provider: outage for outage in Outage.objects.filter(ended_at=None)}
    calls = calls_since(now - RECENT)
    paid = tuple(
        ProviderHealth(
            name, host(known["base_url"]), known["mode"], breakers[name], outages.get(name), calls.get(name, ())
        )
        for name, known in settings.PROVIDERS.items()
    )
    return (*paid, ProviderHealth("chroma", host(settings.CHROMA_URL), None, None, outages.get("chroma"), ()))


def calls_since(moment: datetime) -> Mapping[str, tuple[tuple[str, int], ...]]:
    """By provider: how many calls ended how, in the words of the ledger, the most frequent first."""
    rows = (
        LedgerEntry.objects.calls()
        .filter(at__gte=moment)
        .values_list("provider", "outcome")
        .annotate(count=Count("id"))
    )
    found: dict[str, tuple[tuple[str, int], ...]] = defaultdict(tuple)
    for provider, outcome, count in rows.order_by("-count", "outcome"):
        found[provider] += ((outcome, count),)
    return found


def host(url: str) -> str:
    """Host and port, without what else an address may hold (a password)."""
    address = urlsplit(url)
    return f"{address.hostname}:{address.port}" if address.port else str(address.hostname)
