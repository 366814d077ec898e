"""Who may reach which route. The table in docs/security.md is made from this, and tests hold every route of the site to it.

A rule says who gets past the door; what is beyond it decides further (a key reads the traces of its own questions alone).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.admindocs.views import simplify_regex
from django.contrib.auth.models import AnonymousUser, User
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern


@dataclass(frozen=True, slots=True)
class Who:
    """`anyone`, or staff that hold one of `permissions` (none named: any staff; None: no staff), or API keys with `scope`."""

    anyone: bool = False
    permissions: tuple[str, ...] | None = None
    scope: str = ""
    words: str = ""
    """said in the table instead, where `permissions` are an example"""

    def admits(self, user: User | AnonymousUser, scopes: frozenset[str] = frozenset()) -> bool:
        if self.anyone or (self.scope and self.scope in scopes):
            return True
        if self.permissions is None or not (user.is_active and user.is_staff):
            return False
        return not self.permissions or any(user.has_perm(each) for each in self.permissions)

    def told(self) -> str:
        if self.anyone or self.words:
            return self.words or "anyone"
        keys = self.scope and f"API keys with scope {self.scope}"
        return ", or ".join(each for each in (self._staff_told(), keys) if each)

    def _staff_told(self) -> str:
        if not self.permissions:
            return "" if self.permissions is None else "staff"
        return "superusers" if self.permissions == (NOBODYS,) else f"staff with {' or '.join(self.permissions)}"


@dataclass(frozen=True, slots=True)
class Rule:
    """`look`: GET and HEAD. `act`: POST, where it may do more than GET does. No `look`: the route answers POST alone."""

    look: Who | None
    act: Who | None = None


NOBODYS = "-"
"""a permission that nobody can be given; superusers hold all"""


def staff(*permissions: str) -> Who:
    return Who(permissions=tuple(each for each in permissions if each != NOBODYS) or permissions)


ANYONE = Who(anyone=True)
STAFF = staff()
SUPERUSERS = staff(NOBODYS)
NOBODY = Who()
"""refused to superusers too: the rows are written elsewhere, or stay"""
COSTS = Who(permissions=("costs.view_ledgerentry",), scope="costs")
LEDGER = staff("costs.view_ledgerentry")
WRITE_PROMPTS = staff("prompts.add_promptversion")
ACTIVATE_PROMPTS = staff("prompts.add_activation")
TRY_PROMPTS = staff("prompts.add_promptversion", "prompts.add_activation")
INGEST = staff("rag.add_ingestjob")
SEARCHED = Who(permissions=("prompts.view_prompt",), words="staff with the view permission of what is searched")
EVALUATE = staff("evals.add_evalrun")
CHANNELS = staff("costs.change_alertchannel")

OWN: Mapping[str, Rule] = {
    "ask-page": Rule(staff("rag.ask_corpus")),
    "costs": Rule(LEDGER),
    "costs-json": Rule(COSTS),
    "progress-costs": Rule(LEDGER),
    "progress-scoreboard": Rule(LEDGER),
    "drill": Rule(staff("rag.view_outage", "rag.run_drill"), staff("rag.run_drill")),
    "api-ask": Rule(None, Who(permissions=("rag.ask_corpus",), scope="ask")),
    "api-corpora": Rule(Who(permissions=("rag.view_corpus",), scope="read")),
    "api-stats": Rule(COSTS),
    "api-trace": Rule(Who(permissions=("rag.view_tracesummary",), scope="read")),
    "api-schema": Rule(ANYONE),
    "api-docs": Rule(ANYONE),
    "api/": Rule(ANYONE, ANYONE),
    "healthz": Rule(ANYONE),
    "metrics": Rule(Who(permissions=("rag.view_outage",), scope="metrics")),
    "readyz": Rule(ANYONE),
    "sign-in": Rule(ANYONE, ANYONE),
    "admin:login": Rule(ANYONE, ANYONE),
    "admin:logout": Rule(None, ANYONE),
    "admin:index": Rule(STAFF),
    "admin:search": Rule(STAFF),
    "admin:password_change": Rule(STAFF, STAFF),
    "admin:password_change_done": Rule(STAFF),
    "admin:autocomplete": Rule(SEARCHED),
    "admin:jsi18n": Rule(STAFF),
    "admin:view_on_site": Rule(STAFF),
    "admin:app_list": Rule(STAFF),
    "admin/<url>": Rule(STAFF),
    "admin:auth_user_password_change": Rule(SUPERUSERS, SUPERUSERS),
    "admin:rag_corpus_roll_back": Rule(staff("rag.change_corpus"), staff("rag.change_corpus")),
    "admin:rag_corpus_ingest_into": Rule(INGEST),
    "admin:rag_corpusversion_activate_version": Rule(staff("rag.change_corpus"), staff("rag.change_corpus")),
    "admin:rag_apikey_revoke_key": Rule(staff("rag.change_apikey"), staff("rag.change_apikey")),
    "admin:rag_outage_providers": Rule(staff("rag.view_outage")),
    "admin:rag_tracesummary_by_trace": Rule(staff("rag.view_tracesummary")),
    "admin:costs_alertchannel_test_channel": Rule(CHANNELS, CHANNELS),
    "admin:costs_alertchannel_renew_secret": Rule(CHANNELS, CHANNELS),
    "admin:costs_alertdelivery_resend_one": Rule(
        staff("costs.change_alertdelivery"), staff("costs.change_alertdelivery")
    ),
    "admin:prompts_prompt_bump": Rule(WRITE_PROMPTS, WRITE_PROMPTS),
    "admin:prompts_prompt_bump_check": Rule(None, WRITE_PROMPTS),
    "admin:prompts_prompt_bump_tokens": Rule(None, WRITE_PROMPTS),
    "admin:prompts_prompt_bump_preview": Rule(None, WRITE_PROMPTS),
    "admin:prompts_prompt_compare": Rule(staff("prompts.view_promptversion")),
    "admin:prompts_prompt_try": Rule(None, TRY_PROMPTS),
    "admin:prompts_promptversion_activate": Rule(ACTIVATE_PROMPTS, ACTIVATE_PROMPTS),
    "admin:prompts_promptversion_bump_from": Rule(WRITE_PROMPTS),
    "admin:prompts_promptversion_compare_with_serving": Rule(staff("prompts.view_promptversion")),
    "admin:prompts_promptversion_activate_this": Rule(ACTIVATE_PROMPTS),
    "admin:evals_did_it_help": Rule(EVALUATE, EVALUATE),
    "admin:evals_evalrun_ask": Rule(EVALUATE, EVALUATE),
    "admin:evals_evalrun_ask_new": Rule(EVALUATE),
    "admin:evals_evalrun_stopping": Rule(EVALUATE, EVALUATE),
    "admin:evals_evalrun_resuming": Rule(EVALUATE, EVALUATE),
    "admin:evals_evalrun_stop": Rule(EVALUATE),
    "admin:evals_evalrun_resume": Rule(EVALUATE),
    "admin:evals_evalrun_compare": Rule(staff("evals.view_evalrun")),
    "admin:evals_evalrun_compare_two": Rule(staff("evals.view_evalrun")),
    "admin:evals_evalrun_compare_this": Rule(staff("evals.view_evalrun")),
    "admin:completion_artifact_issue_new": Rule(staff("completion.issue"), staff("completion.issue")),
    "admin:completion_artifact_revoke_this": Rule(staff("completion.revoke"), staff("completion.revoke")),
    "admin:completion_artifact_download_pdf": Rule(staff("completion.view_artifact")),
    "admin:completion_artifact_download_markdown": Rule(staff("completion.view_artifact")),
    "verify": Rule(ANYONE),
    "verify-check": Rule(None, ANYONE),
    "verify-certificate": Rule(ANYONE),
    "verify-artifact": Rule(ANYONE),
    "verify-artifact-json": Rule(ANYONE),
    "verify-artifact-markdown": Rule(ANYONE),
    "verify-number": Rule(ANYONE),
}
"""By the name of the route; by its pattern where it has none."""

MODELS: Mapping[str, str] = {
    "admin.logentry": "look",
    "auth.user": "look add! change!",
    "auth.group": "look add! change! delete!",
    "completion.artifact": "look",
    "costs.alert": "look",
    "costs.alertchannel": "look add change",
    "costs.alertdelivery": "look",
    "costs.budget": "look add change delete",
    "costs.ledgerentry": "look",
    "costs.modelprice": "look add",
    "evals.evalrun": "look",
    "prompts.activation": "look",
    "prompts.prompt": "look",
    "prompts.promptversion": "look",
    "rag.apikey": "look add change",
    "rag.corpus": "look change",
    "rag.corpusversion": "look",
    "rag.document": "look",
    "rag.ingestjob": "look add",
    "rag.outage": "look",
    "rag.tracesummary": "look",
}
"""What the admin's own pages of a model let people do who hold Django's permission for it; with a `!`, superusers. The rest is
refused to all.
"""


def rules() -> dict[str, Rule]:
    return {name: rule for model, does in MODELS.items() for name, rule in pages_of(model, does.split())} | dict(OWN)


def pages_of(model: str, does: list[str]) -> Iterator[tuple[str, Rule]]:
    """The five pages that Django's admin makes of every model, and its old address of the fourth."""
    app, name = model.split(".")
    page = f"admin:{app}_{name}"
    view = f"{app}.view_{name}"
    add, change, delete = (_doing(verb, app, name, does) for verb in ("add", "change", "delete"))
    look = staff(view, *(change.permissions or ()))
    yield f"{page}_changelist", Rule(look, look)
    yield f"{page}_history", Rule(look)
    yield f"{page}_change", Rule(look, change)
    yield f"{page}_add", Rule(add, add)
    yield f"{page}_delete", Rule(delete, delete)
    yield f"admin/{app}/{name}/<path:object_id>/", Rule(STAFF)


def _doing(verb: str, app: str, name: str, does: list[str]) -> Who:
    if verb in does:
        return staff(f"{app}.{verb}_{name}")
    return SUPERUSERS if f"{verb}!" in does else NOBODY


@dataclass(frozen=True, slots=True)
class Route:
    """`key` is what its rule stands under."""

    key: str
    pattern: str


def routes() -> list[Route]:
    """Every route of the site, in the order in which they are tried."""
    return list(_below(get_resolver(), "", ""))


def _below(resolver: URLResolver, prefix: str, namespace: str) -> Iterator[Route]:
    for each in resolver.url_patterns:
        pattern = prefix + readable(each.pattern)
        if isinstance(each, URLPattern):
            yield Route(f"{namespace}{each.name}" if each.name else pattern, pattern)
        else:
            yield from _below(each, pattern, f"{namespace}{each.namespace}:" if each.namespace else namespace)


def readable(pattern: object) -> str:
    """A regular expression is told as Django tells the other patterns."""
    return simplify_regex(str(pattern)).lstrip("/") if isinstance(pattern, RegexPattern) else str(pattern)


def table(known: Mapping[str, Rule] | None = None) -> str:
    """The rules in Markdown, a line a route, by their patterns."""
    of = known or rules()
    head = "| route | looking | acting |\n| --- | --- | --- |\n"
    return head + "".join(_line(route, of[route.key]) for route in sorted(routes(), key=lambda each: each.pattern))


def _line(route: Route, rule: Rule) -> str:
    return f"| `/{route.pattern}` | {_told(rule.look)} | {_told(rule.act)} |\n"


def _told(who: Any) -> str:
    return "-" if who is None else who.told() or "nobody"
