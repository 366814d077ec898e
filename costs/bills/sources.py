"""Which providers can be asked for a bill, and with which key."""

from collections.abc import Callable, Mapping

from django.conf import settings

from costs.bills import anthropic_report, openai_report
from costs.bills.values import Bill, ReportUnavailable, Span

READERS: Mapping[str, Callable[..., Bill]] = {"anthropic": anthropic_report.read, "openai": openai_report.read}
KEYS = {"anthropic": "ANTHROPIC_ADMIN_KEY", "openai": "OPENAI_ADMIN_KEY"}
ANY_KEY = "sandbox"


def key_of(provider: str) -> str:
    """Empty where there is none. The sandbox takes any."""
    key: str = getattr(settings, KEYS[provider])
    return key or (ANY_KEY if mode_of(provider) == "simulated" else "")


def mode_of(provider: str) -> str:
    mode: str = settings.PROVIDERS[provider]["mode"]
    return mode


def askable() -> tuple[str, ...]:
    """The providers that have a report and whose key is set."""
    return tuple(provider for provider in READERS if key_of(provider))


def ask(provider: str, span: Span) -> Bill:
    """Raises ReportUnavailable."""
    if provider not in READERS:
        raise ReportUnavailable(f"{provider} has no report to ask for: give its bill as a file, --bill FILE.csv")
    if not (key := key_of(provider)):
        raise ReportUnavailable(f"set {KEYS[provider]}: the report needs an admin key of the organisation")
    return READERS[provider](base_url=settings.PROVIDERS[provider]["base_url"], key=key, span=span)
