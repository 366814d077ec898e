"""What breaks and what a client sees then, as data: the table of docs/failures.md, of its tests and of `manage.py drill`."""

from collections.abc import Iterable

from rag.failures import Case, Failure, Fault, Sees, Within, fault, status

VOYAGE, OPENAI, COHERE, ANTHROPIC = "voyage.embeddings", "openai.embeddings", "cohere.rerank", "anthropic.messages"
USAGE_LIMIT = {
    "type": "error",
    "error": {
        "type": "invalid_request_error",
        "message": "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    },
}
EMBEDDERS_FAIL = (status(VOYAGE, 500), status(OPENAI, 500))
TRIES = 2
"""As many as a transform makes: the calls after it must be left alone."""


def embedded_elsewhere(name: str, breaks: str, broken: Fault) -> Case:
    sees = Sees(200, Within("EMBEDDING_TIMEOUT_S"), degraded=("embedding_fallback",))
    return Case(name, breaks, sees, (broken,))


def no_generation(name: str, breaks: str, code: str, *faults: Fault, refusing: str | None = None) -> Case:
    return Case(name, breaks, Sees(503, Within("GENERATION_TIMEOUT_S"), code), faults, refusing)


def not_reranked(name: str, breaks: str, broken: Fault) -> Case:
    sees = Sees(200, Within("RERANK_TIMEOUT_S"), degraded=("rerank_skipped",))
    return Case(name, breaks, sees, (broken,))


def too_late(name: str, breaks: str, broken: Fault) -> Case:
    sees = Sees(200, Within("GENERATION_TIMEOUT_S"), degraded=("generation_timeout",))
    return Case(name, breaks, sees, (broken,))


def breaks_off(name: str, breaks: str, broken: Fault) -> Case:
    sees = Sees(503, Within("GENERATION_TIMEOUT_S"), "answer_interrupted", partial=True)
    return Case(name, breaks, sees, (broken,), stream=True)


def not_transformed(name: str, breaks: str, broken: Fault, *, transform: str) -> Case:
    sees = Sees(200, Within("TRANSFORM_TIMEOUT_S"), degraded=("transform_skipped",))
    return Case(name, breaks, sees, (broken,), transform=transform)


FAILURES = (
    Failure(
        breaks="Voyage: 429, 529, 5xx, slow, garbage",
        happens="one more try; then the question is embedded by OpenAI and searched in the OpenAI index, never in Voyage's",
        client='200, `degraded: ["embedding_fallback"]`',
        left="every attempt; WARNING",
        cases=(
            embedded_elsewhere("voyage-429", "Voyage says: too many requests", status(VOYAGE, 429)),
            embedded_elsewhere("voyage-529", "Voyage says: overloaded", status(VOYAGE, 529)),
            embedded_elsewhere("voyage-500", "Voyage fails", status(VOYAGE, 500)),
            embedded_elsewhere("voyage-timeout", "Voyage never answers", fault(VOYAGE, "hang")),
            embedded_elsewhere("voyage-malformed", "Voyage answers with broken JSON", fault(VOYAGE, "malformed")),
            embedded_elsewhere("voyage-short-results", "Voyage leaves vectors out", fault(VOYAGE, "short_results")),
        ),
    ),
    Failure(
        breaks="Voyage and OpenAI, or no second index",
        happens="",
        client="503 `no_embedding`, `Retry-After`",
        left="every attempt",
        cases=(
            Case(
                "embedders-500",
                "Voyage and OpenAI fail",
                Sees(503, Within("EMBEDDING_TIMEOUT_S", times=2), "no_embedding"),
                EMBEDDERS_FAIL,
            ),
        ),
    ),
    Failure(
        breaks="both, and the same question was answered in the last `STALE_ANSWER_TTL_S`",
        happens="that answer is given once more",
        client='200, `degraded: ["stale_answer"]`, its age in `cache.from`',
        left="every attempt; WARNING",
        cases=(
            Case(
                "embedders-stale",
                "Voyage and OpenAI fail, later",
                Sees(200, Within("EMBEDDING_TIMEOUT_S", times=2), degraded=("stale_answer",)),
                EMBEDDERS_FAIL,
                asked_before=True,
            ),
        ),
    ),
    Failure(
        breaks="Anthropic: refused, 5xx, 529, 401, 400",
        happens="one more try where that may help; no other model is ever asked",
        client='503 `provider_...`, `Retry-After`, "please try again"',
        left="every attempt",
        cases=(
            no_generation(
                "anthropic-refused", "nobody listens at Anthropic", "provider_unavailable", refusing="anthropic"
            ),
            no_generation("anthropic-500", "Anthropic fails", "provider_unavailable", status(ANTHROPIC, 500)),
            no_generation("anthropic-529", "Anthropic says: overloaded", "provider_busy", status(ANTHROPIC, 529)),
            no_generation(
                "anthropic-429", "Anthropic says: too many requests", "provider_busy", status(ANTHROPIC, 429)
            ),
            no_generation("anthropic-401", "Anthropic refuses the key", "provider_refused", status(ANTHROPIC, 401)),
            no_generation(
                "anthropic-usage-limit",
                "Anthropic says: the month's money is spent",
                "provider_refused",
                status(ANTHROPIC, 400, body=USAGE_LIMIT),
            ),
            no_generation(
                "anthropic-malformed",
                "Anthropic answers with broken JSON",
                "provider_malformed",
                fault(ANTHROPIC, "malformed"),
            ),
            no_generation("anthropic-cut", "Anthropic hangs up", "provider_unavailable", fault(ANTHROPIC, "cut")),
        ),
    ),
    Failure(
        breaks="Chroma: refused, hung, cut",
        happens="three more tries in growing intervals; never BM25 alone; found again by itself",
        client="503 `index_unavailable`, `Retry-After`",
        left="error",
        cases=(
            Case(
                "chroma-refused",
                "nobody listens at Chroma",
                Sees(503, Within("CHROMA_TIMEOUT_S", waits_s=1.4), "index_unavailable"),
                refusing="chroma",
            ),
            Case(
                "chroma-timeout",
                "Chroma never answers",
                Sees(503, Within("CHROMA_TIMEOUT_S", times=4, waits_s=1.4), "index_unavailable"),
                silent="chroma",
            ),
        ),
    ),
    Failure(
        breaks="Cohere: 429, 5xx, slow, garbage, too few results",
        happens="the fused order is used",
        client='200, `degraded: ["rerank_skipped"]`',
        left="every attempt; WARNING",
        cases=(
            not_reranked("cohere-429", "Cohere says: too many requests", status(COHERE, 429)),
            not_reranked("cohere-500", "Cohere fails", status(COHERE, 500)),
            not_reranked("cohere-timeout", "Cohere never answers", fault(COHERE, "hang")),
            not_reranked("cohere-malformed", "Cohere answers with broken JSON", fault(COHERE, "malformed")),
            not_reranked("cohere-short-results", "Cohere leaves documents out", fault(COHERE, "short_results")),
        ),
    ),
    Failure(
        breaks="the answer is late (`GENERATION_TIMEOUT_S` in all)",
        happens="the call is cancelled, its connection closed",
        client='200, a sentence that says so and the sources, `degraded: ["generation_timeout"]`',
        left="cost of the call estimated, and marked so",
        cases=(
            too_late("generation-hang", "the answer never begins", fault(ANTHROPIC, "hang")),
            too_late("generation-drip", "the answer comes byte by byte", fault(ANTHROPIC, "drip")),
            too_late("generation-stall", "the answer stops half-way", fault(ANTHROPIC, "hang_mid_stream")),
        ),
    ),
    Failure(
        breaks="a streamed answer, before its first `delta`",
        happens="as for one that is not streamed",
        client="`error` with `partial: false`, or `done` with the sentence and the sources",
        left="as above",
        cases=(
            Case(
                "stream-overloaded",
                "the stream says: overloaded",
                Sees(503, Within("GENERATION_TIMEOUT_S"), "provider_busy"),
                (fault(ANTHROPIC, "overloaded_stream", after_deltas=0),),
                stream=True,
            ),
            Case(
                "stream-hang",
                "the stream never begins",
                Sees(200, Within("GENERATION_TIMEOUT_S"), degraded=("generation_timeout",)),
                (fault(ANTHROPIC, "hang"),),
                stream=True,
            ),
        ),
    ),
    Failure(
        breaks="a streamed answer, after its first `delta`",
        happens="not begun anew, not cached, no answer in the trace",
        client="`error` `answer_interrupted` with `partial: true`",
        left="cost of the call estimated, and marked so",
        cases=(
            breaks_off("stream-interrupted", "half-way: overloaded", fault(ANTHROPIC, "overloaded_stream")),
            breaks_off("stream-cut", "Anthropic hangs up half-way", fault(ANTHROPIC, "cut")),
            breaks_off("stream-truncated", "the stream ends half-way", fault(ANTHROPIC, "truncated_body")),
            breaks_off("stream-stall", "the stream stops half-way", fault(ANTHROPIC, "hang_mid_stream")),
        ),
    ),
    Failure(
        breaks="the transform",
        happens="the question goes on as `simple`",
        client='200, `degraded: ["transform_skipped"]`',
        left="every attempt; WARNING",
        cases=(
            not_transformed(
                "transform-500",
                "Anthropic fails, at the transform only",
                status(ANTHROPIC, 500, times=TRIES),
                transform="multi_query",
            ),
            not_transformed(
                "transform-timeout", "the transform never comes", fault(ANTHROPIC, "hang", times=1), transform="hyde"
            ),
        ),
    ),
    Failure(
        "the database, before the answer", "", "503 `database_unavailable`", "the line, if the disk takes it; ERROR"
    ),
    Failure(
        breaks="the database, after the answer",
        happens="the answer goes out",
        client="200",
        left="the line; rows by `manage.py traces verify --repair`",
    ),
    Failure("Redis", "no cache, no throttle", "200", "`/readyz`"),
    Failure(
        "the trace folder: full, not writable",
        "no answer without its receipt; calls that were made are booked",
        "503 `trace_unwritable`",
        "CRITICAL",
    ),
)
CASES = tuple(case for failure in FAILURES for case in failure.cases)
GROUPS = tuple(dict.fromkeys(case.group for case in CASES))


def find_cases(name: str) -> tuple[Case, ...]:
    """The case of that name, or the group's; raises LookupError, which says what there is."""
    found = tuple(case for case in CASES if name in (case.name, case.group))
    if not found:
        cases = ", ".join(case.name for case in CASES)
        raise LookupError(f"there is no case {name!r}; groups: {', '.join(GROUPS)}; cases: {cases}")
    return found


def as_markdown() -> str:
    """Both tables of docs/failures.md."""
    failures = table(
        ("what breaks", "what happens", "the client sees", "trace and log"),
        ((row.breaks, row.happens, row.client, row.left) for row in FAILURES),
    )
    cases = table(
        ("case", "what is broken", "the client sees", "within"),
        ((f"`{case.name}`", case.breaks, seen(case), str(case.sees.within)) for case in CASES),
    )
    return f"{failures}\n\n{cases}"


def seen(case: Case) -> str:
    sees = case.sees
    told = f"{sees.status} `{sees.code or ', '.join(sees.degraded)}`"
    if not case.stream:
        return told
    return f"`error`: {told}, `partial: {str(sees.partial).lower()}`" if sees.code else f"`done`: {told}"


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (heads, tuple("---" for _ in heads), *rows)
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)
