"""A row of everything that the site shows, with a given text wherever somebody may write, and the address of every route."""

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.urls import reverse

from completion.manifest import canonical
from completion.models import Artifact, SigningCertificate
from completion.tests.samples import sample_manifest
from costs.models import Alert, AlertChannel, AlertDelivery, DeliveryTry, LedgerEntry, ModelPrice
from costs.tests.factories import make_budget, make_channel
from evals.models import EvalResult, EvalRun
from prompts.models import Activation, Prompt
from prompts.publishing import activate, bump
from rag import clock
from rag.models import ApiKey, Corpus, IngestJob, TraceSummary
from rag.tests.factories import (
    ApiKeyFactory,
    ChunkFactory,
    ChunkSetFactory,
    CorpusVersionFactory,
    DocumentFactory,
    OutageFactory,
    TraceSummaryFactory,
    VectorIndexFactory,
)
from rag.tests.trace_lines import attempt_line, trace_line
from ragsite.access import Route

PLACE = re.compile(r"<(?:\w+:)?(\w+)>")
TRACE_ID = "a" * 32
QUERIES = {"admin:autocomplete": "?app_label=prompts&model_name=promptversion&field_name=prompt"}
FIXED = {
    "trace_id": TRACE_ID,
    "app_label": "rag",
    "url": "nothing-here/",
    "sha256": "0" * 64,
    "number": "7Q2M-9XKD-4TBH-W8ZN",
}


def make_world(text: str = "plain words", *, by: User) -> Mapping[str, Model]:
    """The row that stands for each model of the admin, by `app.model`."""
    prompt = Prompt.objects.get(name="answer")
    made = bump(
        prompt=prompt,
        author=by,
        based_on=None,
        instructions=text.replace("\r", ""),
        examples=text.replace("\r", ""),
        note=text,
    ).version
    activation = activate(version=made, who=by, why=text[:300], share=100)
    document = documents(text)
    rows: list[Model] = [
        *(prompt, made, activation, document, document.version, document.version.corpus),
        *(Group.objects.create(name=text[:100]), by),
        *(key_of(text), trace_of(text), OutageFactory.create(reason=text[:40], first_trace_id=TRACE_ID)),
        IngestJob.objects.create(
            corpus_slug="handbook",
            path=text[:500],
            state="failed",
            progress=text[:200],
            error=text,
            asked_by=by,
            bad_files=bad_files(text),
            finished_at=clock.now(),
        ),
        *money(text),
        evaluation(text),
        changed(text, by),
        artifact(text),
    ]
    running = evaluation(text, batch="another", state="running", heartbeat_at=clock.now())
    return {row._meta.label_lower: row for row in rows} | {"running": running}


def documents(text: str) -> Any:
    version = CorpusVersionFactory.create(
        corpus__slug="handbook",
        corpus__url_template="https://example.org/{source}",
        number=1,
        error=text,
        bad_files=bad_files(text),
        builder=text[:100],
    )
    Corpus.objects.filter(pk=version.corpus_id).update(active_version=version)
    document = DocumentFactory.create(version=version, source=text[:400], title=text[:400], text=text)
    chunk_set = ChunkSetFactory.create(version=version)
    ChunkFactory.create(chunk_set=chunk_set, document=document, key="leave/top#0", heading=text[:1000])
    VectorIndexFactory.create(chunk_set=chunk_set)
    version.corpus.refresh_from_db()
    return document


def bad_files(text: str) -> list[dict[str, str]]:
    return [{"source": text, "reason": text}]


def key_of(text: str) -> ApiKey:
    return ApiKeyFactory.create(name=text[:100], owner=None)


def trace_of(text: str) -> TraceSummary:
    now = clock.now()
    line = trace_line(
        trace_id=TRACE_ID,
        timestamp=now.isoformat(),
        query=text,
        final_answer=f"{text} [leave/top#0].",
        sub_queries=[text],
        hypothetical=text,
        standalone=text,
        stop_reason=text,
        warnings=[text],
        degraded=[text],
        config={text: text},
        attempts=[attempt_line(outcome=text, model=text, request_id=text)],
        sources=[{"id": "leave/top#0", "title": text, "score": 1.0, "sha256": "0" * 64}],
        error={"code": text, "message": text},
        vector_candidates=[{"id": text, "score": 1.0}],
    )
    path = Path(settings.TRACE_DIR) / f"{now.astimezone(UTC).date()}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(line, separators=(",", ":")) + "\n", "utf-8")
    return TraceSummaryFactory.create(
        trace_id=TRACE_ID,
        timestamp=now,
        query=text,
        error=text[:60],
        model=text[:100],
        degraded=[text],
        transform=text[:20],
        api_key_id=ApiKey.objects.latest("pk").pk,
        prompt_version=text[:20],
    )


def money(text: str) -> list[Model]:
    now = clock.now()
    channel = make_channel("http://127.0.0.1:9/hook", name=text[:60])
    alert = Alert.objects.create(
        kind="test", key=uuid.uuid4().hex, severity="info", message=text, detail={text: text}, at=now
    )
    delivery = AlertDelivery.objects.create(alert=alert, channel=channel, next_try_at=now)
    DeliveryTry.objects.create(delivery=delivery, at=now, error=text[:300], response=text, latency_ms=1)
    entry = LedgerEntry.objects.create(
        at=now,
        trace_id=TRACE_ID,
        attempt=0,
        kind="ask",
        provider="anthropic",
        model=text[:100],
        operation="generate",
        provider_mode="simulated",
        outcome=text[:40],
        latency_ms=1,
        cost_usd=Decimal("0.01"),
        request_id=text[:80],
        api_key_id=ApiKey.objects.latest("pk").pk,
        prompt_version=text[:20],
    )
    price = ModelPrice.objects.create(
        provider="anthropic", model=text[:100], effective_from=now, input_usd=1, output_usd=1, source=text[:200]
    )
    return [channel, alert, delivery, entry, price, make_budget(hard=False)]


def evaluation(text: str, **other: Any) -> EvalRun:
    run = EvalRun.objects.create(
        dataset=text[:255],
        dataset_path=text,
        dataset_sha256="0" * 64,
        questions=1,
        module="m6-production",
        prompt_version=text[:20],
        prompts={text: {"version": text, "hash": text}},
        model_names={text: text},
        corpus="handbook",
        corpus_version="v1",
        config={text: text},
        provider_mode="simulated",
        error=text,
        **({"batch": text[:32], "state": "stopped"} | other),
    )
    EvalResult.objects.create(
        run=run,
        question_id=text[:400],
        question=text,
        answerable=True,
        trace_id=TRACE_ID,
        spent_usd=0,
        error=text[:60],
        message=text,
        judge={"verdicts": [{"correctness": 1, "groundedness": 1, "reason": text}], "malformed": 0, "error": text},
    )
    return run


def artifact(text: str) -> Artifact:
    now = clock.now()
    certificate = SigningCertificate.objects.create(pem=text, sha256="1" * 64, key_sha256="2" * 64, created_at=now)
    manifest = canonical(sample_manifest(name=text.strip()[:200])).decode()
    return Artifact.objects.create(
        number="7Q2M-9XKD-4TBH-W8ZA",
        name=text[:200],
        sha256="3" * 64,
        manifest=manifest,
        manifest_sha256="4" * 64,
        pdf=b"%PDF-1.7",
        certificate=certificate,
        issued_at=now,
    )


def changed(text: str, by: User) -> LogEntry:
    kind = ContentType.objects.get_for_model(Activation)
    return LogEntry.objects.create(
        user=by, content_type=kind, object_repr=text[:200], action_flag=CHANGE, change_message=text
    )


def address_of(route: Route, world: Mapping[str, Model]) -> str:
    """Where the route leads to the row of its model."""
    given: dict[str, Any] = {name: value_of(name, route, world) for name in PLACE.findall(route.pattern)}
    if route.key != route.pattern:
        return reverse(route.key, kwargs=given) + QUERIES.get(route.key, "")
    if route.pattern == "api/":
        return "/api/nothing-here"
    return "/" + PLACE.sub(lambda found: str(given[found.group(1)]), route.pattern)


def value_of(name: str, route: Route, world: Mapping[str, Model]) -> Any:
    if name in FIXED:
        return FIXED[name]
    if name == "content_type_id":
        return ContentType.objects.get_for_model(AlertChannel).pk
    if route.key == "admin:view_on_site":
        return world["costs.alertchannel"].pk
    if route.key in ("admin:evals_evalrun_stop", "admin:evals_evalrun_stopping"):
        return world["running"].pk
    _, app, model, *_ = route.pattern.split("/")
    return world[f"{app}.{model}"].pk
