"""What a redactor masks is written nowhere; what it breaks costs no trace."""

import json
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from rest_framework.test import APIClient

from rag import clock
from rag.ingest import IngestReport
from rag.models import TraceSummary
from rag.redaction import CONTENT, masked_contacts, redacted, without_content
from rag.replaying import replay
from rag.tests.small_world import HELD, asked, line_of, trace_paths
from rag.tests.trace_lines import trace_line
from rag.trace import Trace

SHIPPED = "rag.redaction.masked_contacts"


def broken(line: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to jane.doe+x@mail.example.co.uk, please", "write to [e-mail], please"),
        ("call +49 (0)30 1234-5678 now", "call [phone] now"),
        ("call 030/1234567", "call [phone]"),
        ("call 555-123-4567.", "call [phone]."),
        ("Django 5.2.19 of 2026-11-22, error 404, 120 EUR", "Django 5.2.19 of 2026-11-22, error 404, 120 EUR"),
        ("@decorator and a@b", "@decorator and a@b"),
        ("127.0.0.1:8000 and 0.123456789", "127.0.0.1:8000 and 0.123456789"),
    ],
)
def test_the_shipped_one_masks_addresses_and_numbers(text: str, masked: str) -> None:
    line = trace_line(query=text, sub_queries=[text], error={"code": "x", "message": text})

    found = masked_contacts(line)

    assert (found["query"], found["sub_queries"], found["error"]["message"]) == (masked, [masked], masked)


def test_without_a_redactor_the_line_is_as_it_was() -> None:
    line = trace_line()

    assert redacted(line) is line


def test_a_line_in_which_nothing_was_masked_is_not_said_to_be_redacted(settings: LazySettings) -> None:
    settings.TRACE_REDACTOR = SHIPPED

    assert "redacted" not in redacted(trace_line())


def test_what_it_masks_reaches_neither_file_nor_row(corpus: IngestReport, settings: LazySettings) -> None:
    settings.TRACE_REDACTOR = SHIPPED

    found = asked(f"{HELD} Tell jane@mail.example!", module="m1-baseline")

    assert b"jane@mail" not in b"".join(path.read_bytes() for path in trace_paths())
    assert TraceSummary.objects.get().query == f"{HELD} Tell [e-mail]!"
    assert line_of(found.trace.trace_id)["redacted"] is True


def test_a_redacted_trace_is_not_said_to_differ(
    corpus: IngestReport, settings: LazySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.TRACE_REDACTOR = SHIPPED
    found = asked(f"{HELD} Tell jane@mail.example!", module="m1-baseline")

    with pytest.raises(SystemExit):
        call_command("replay", found.trace.trace_id)

    assert capsys.readouterr().out.startswith("cannot be compared: the trace was redacted")
    assert replay(line_of(found.trace.trace_id)).withheld == "redacted"


@pytest.mark.django_db
def test_a_refused_request_is_redacted_too(bob: APIClient, settings: LazySettings) -> None:
    settings.TRACE_REDACTOR = SHIPPED

    bob.post("/api/ask", {"question": "jane@mail.example", "corpus": "none"}, format="json")

    assert b"jane@mail" not in b"".join(path.read_bytes() for path in trace_paths())


def test_a_redactor_that_fails_takes_the_content_and_not_the_trace(
    corpus: IngestReport, settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TRACE_REDACTOR = "rag.tests.test_redaction.broken"

    found = asked()

    line = line_of(found.trace.trace_id)
    assert (line["query"], line["final_answer"], line["redacted"]) == ("", None, True)
    assert line["cost_usd"] == float(found.trace.cost_usd or 0) > 0
    assert "the redactor failed" in caplog.text


def test_every_key_of_a_line_is_either_content_or_known_to_be_none() -> None:
    """A new key of the trace has to be decided on: add it to CONTENT, or here."""
    harmless = (
        "trace_id timestamp transform prompt_length_chars model prompt_version cache_hit generation_tokens_in "
        "generation_tokens_out latencies_ms cost_usd kind status module config corpus corpus_version chunker provider_mode "
        "session_id turn api_key_id user_id answer_cache answer_from avoided_usd prompt_saved_usd prompt_cache degraded "
        "economies attempts prompt_hash keep_system answered citations_removed stop_reason error salt"
    )
    line = Trace(trace_id="t", timestamp=clock.now(), query="q").as_line()

    assert set(line) == {*harmless.split(), *CONTENT}


def test_nothing_of_the_content_is_left_without_it() -> None:
    secret = "Zanzibar"  # noqa: S105
    line = trace_line(
        **{key: secret if not isinstance(empty, list) else [secret] for key, empty in CONTENT.items()},
        error={"code": "x", "message": secret},
        salt=secret,
    )

    assert secret not in json.dumps(without_content(line))
