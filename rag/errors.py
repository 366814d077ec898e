"""Everything that can go wrong while answering or ingesting, by what the caller can do about it.

RagError
├── CallerError           tell the user: the request cannot be served as it is
│   ├── QuestionRefused       empty, too long, control characters
│   ├── UnknownCorpus, CorpusNotReady, UnknownModule, UnknownTransform, UnknownPromptVersion
│   ├── UnknownSession, SessionMismatch, SessionBusy, SessionFull
│   ├── BudgetExceeded        a hard limit leaves no money for a new answer
│   └── IngestRefused         nothing to read, a build in progress, a path outside the allowed root
├── ProviderError         a paid provider failed; `retryable` says whether the same call may succeed later
│   ├── ProviderBusy          429, 529: it asks us to slow down
│   ├── ProviderUnavailable   refused, cut, 5xx
│   │   └── ProviderDown          not asked at all: it failed too often just now
│   ├── ProviderTimeout       no whole answer in time
│   ├── ProviderMalformed     an answer that cannot be understood
│   ├── NoEmbedding           neither embedder gave vectors for the question
│   ├── AnswerInterrupted     the reply broke off when a part of it had been shown already
│   └── ProviderRefused       401, 403, 400, out of credit: page someone
├── IndexUnavailable      the vector store cannot be reached
├── IndexOutdated         the index does not fit the settings; a new ingest mends it
└── TraceUnwritable       no receipt can be written, so no answer is given
"""

from datetime import datetime
from typing import ClassVar

from costs.usage import Usage
from ragsite.secrets import masked


class RagError(Exception):
    """`code` names the kind in problem documents, traces and logs; `status` is the HTTP status a client gets."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"


class CallerError(RagError):
    code = "bad_request"
    status = 400
    title = "The request cannot be served"


class QuestionRefused(CallerError):
    code = "question_refused"
    title = "The question cannot be used"


class UnknownCorpus(CallerError):
    code = "unknown_corpus"
    status = 404
    title = "Unknown corpus"


class CorpusNotReady(CallerError):
    code = "corpus_not_ready"
    status = 409
    title = "The corpus cannot serve this yet"


class UnknownModule(CallerError):
    code = "unknown_module"
    title = "Unknown module"


class UnknownTransform(CallerError):
    code = "unknown_transform"
    title = "Unknown transform"


class UnknownPromptVersion(CallerError):
    code = "unknown_prompt_version"
    title = "Unknown prompt version"


class UnknownSession(CallerError):
    code = "unknown_session"
    status = 404
    title = "Unknown session"


class SessionMismatch(CallerError):
    code = "session_mismatch"
    status = 409
    title = "The session is about something else"


class SessionBusy(CallerError):
    code = "session_busy"
    status = 409
    title = "The session is busy"


class SessionFull(CallerError):
    code = "session_full"
    status = 409
    title = "The session is full"


class BudgetExceeded(CallerError):
    """`resets_at`: when there will be money again."""

    code = "budget_exceeded"
    status = 402
    title = "The budget is spent"

    def __init__(self, message: str, *, resets_at: datetime) -> None:
        super().__init__(message)
        self.resets_at = resets_at


class IngestRefused(CallerError):
    code = "ingest_refused"
    title = "The ingest cannot start"


class ProviderError(RagError):
    code = "provider_error"
    status = 503
    title = "Service unavailable"
    retryable: ClassVar[bool] = True

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
        begun: bool = False,
        usage_so_far: bool = False,
        request_id: str = "",
    ):
        """`usage`: what the failed call cost, None = not known; `usage_so_far`: it is of a reply that did not end. `begun`: a
        part of the reply was handed on already.
        """
        super().__init__(masked(message))  # vendors quote the key that they refuse
        self.provider = provider
        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.usage = usage
        self.begun = begun
        self.usage_so_far = usage_so_far
        self.request_id = request_id


class ProviderBusy(ProviderError):
    code = "provider_busy"


class ProviderUnavailable(ProviderError):
    code = "provider_unavailable"


class ProviderDown(ProviderUnavailable):
    code = "provider_down"
    retryable = False


class NoEmbedding(ProviderError):
    code = "no_embedding"
    retryable = False


class AnswerInterrupted(ProviderError):
    code = "answer_interrupted"
    title = "The answer broke off"
    retryable = False


class ProviderTimeout(ProviderError):
    code = "provider_timeout"


class ProviderMalformed(ProviderError):
    code = "provider_malformed"


class ProviderRefused(ProviderError):
    code = "provider_refused"
    retryable = False


class IndexUnavailable(RagError):
    code = "index_unavailable"
    status = 503
    title = "Service unavailable"


class IndexOutdated(RagError):
    code = "index_outdated"
    status = 503
    title = "The index does not fit the settings"


class TraceUnwritable(RagError):
    code = "trace_unwritable"
    status = 503
    title = "Service unavailable"
