import json
import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from rag import clock
from rag.ingest import IngestReport
from rag.models import ApiKey, CorpusVersion
from rag.tests.small_world import HELD, break_provider, row_of, trace_lines


def said(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What a command writes to stdout."""
    capsys.readouterr()
    call_command(*command)
    return capsys.readouterr().out


class TestApiKey:
    def test_create_prints_the_key_alone(self, db: None, capsys: pytest.CaptureFixture[str]) -> None:
        printed = said(capsys, "apikey", "create", "script", "--scopes", "read")

        assert re.fullmatch(r"rk_[0-9a-f]{8}_[\w-]{43}\n", printed)
        key = ApiKey.objects.get()
        assert (key.name, key.scopes, key.expires_at) == ("script", ["read"], None)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {printed.strip()}")
        assert client.get("/api/corpora").status_code == 200

    def test_create_can_set_an_expiry(self, db: None, capsys: pytest.CaptureFixture[str]) -> None:
        said(capsys, "apikey", "create", "script", "--days", "7")

        expires = ApiKey.objects.get().expires_at
        assert expires is not None
        assert (expires - clock.now()).days == 6

    @pytest.mark.parametrize("scopes", ["write", "ask,write", "", ","])
    def test_create_refuses_unknown_scopes(self, scopes: str, db: None) -> None:
        with pytest.raises(CommandError, match="known: ask, read"):
            call_command("apikey", "create", "script", "--scopes", scopes)

        assert not ApiKey.objects.exists()

    def test_list_shows_no_secret(self, bobs_key: str, capsys: pytest.CaptureFixture[str]) -> None:
        printed = said(capsys, "apikey", "list")

        assert "bob" in printed
        assert bobs_key.split("_", 2)[2] not in printed

    def test_revoke_makes_the_key_useless(
        self, bob: APIClient, bobs_key: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said(capsys, "apikey", "revoke", bobs_key[:11])

        assert bob.get("/api/corpora").status_code == 401

    def test_revoke_of_an_unknown_key_is_an_error(self, db: None) -> None:
        with pytest.raises(CommandError, match="no key"):
            call_command("apikey", "revoke", "00000000")


class TestAsk:
    def test_it_prints_the_answer_with_its_sources(
        self, corpus: IngestReport, capsys: pytest.CaptureFixture[str]
    ) -> None:
        printed = said(capsys, "ask", HELD, "--corpus", "handbook", "--module", "m3")

        (line,) = trace_lines()
        assert "five days" in printed
        assert all(f"[{source['id']}]" in printed for source in line["sources"])
        assert line["trace_id"] in printed

    def test_json_is_what_the_api_gives(
        self, corpus: IngestReport, bob: APIClient, capsys: pytest.CaptureFixture[str]
    ) -> None:
        printed = json.loads(said(capsys, "ask", HELD, "--corpus", "handbook", "--module", "m3", "--json"))
        body = bob.post("/api/ask", {"question": HELD, "corpus": "handbook", "module": "m3"}, format="json").json()

        assert set(printed) == set(body)
        assert (printed["answer"], printed["sources"]) == (body["answer"], body["sources"])
        assert row_of(printed["trace_id"]).api_key_id is None

    def test_a_refused_question_is_an_error_in_words(self, corpus: IngestReport) -> None:
        with pytest.raises(CommandError, match="empty"):
            call_command("ask", " ", "--corpus", "handbook")

    def test_a_provider_that_is_down_is_an_error_in_words(self, corpus: IngestReport, providers: str) -> None:
        break_provider(providers, "anthropic.messages", kind="status", status=529)

        with pytest.raises(CommandError, match="unavailable"):
            call_command("ask", HELD, "--corpus", "handbook", "--module", "m1")

    @pytest.mark.parametrize("top_k", ["-1", "0", "21"])
    def test_top_k_is_bounded_as_in_the_api(self, top_k: str, corpus: IngestReport) -> None:
        with pytest.raises(CommandError, match=r"top.k"):
            call_command("ask", HELD, "--corpus", "handbook", "--module", "m1", f"--top-k={top_k}")


class TestIngest:
    def test_json_is_the_whole_report(
        self, documents: Path, providers: str, db: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        report = json.loads(said(capsys, "ingest", str(documents), "--corpus", "handbook", "--json"))

        assert (report["version"], report["documents"], report["bad_files"]) == ("v1", 4, [])
        assert report["embedded"] == 2 * sum(report["chunks"].values())

    def test_it_says_in_words_what_was_not_read(
        self, documents: Path, providers: str, db: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (documents / "photo.png").write_bytes(b"\x89PNG")

        printed = said(capsys, "ingest", str(documents), "--corpus", "handbook")

        assert "handbook v1 is active: 4 documents" in printed
        assert "not read: photo.png" in printed

    def test_a_second_ingest_says_that_there_is_nothing_to_do(
        self, corpus: IngestReport, documents: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "nothing to do" in said(capsys, "ingest", str(documents), "--corpus", "handbook")

    def test_a_refused_ingest_is_an_error_in_words(self, tmp_path: Path, db: None) -> None:
        with pytest.raises(CommandError, match="empty"):
            call_command("ingest", str(tmp_path), "--corpus", "handbook")

    def test_a_chosen_chunker_is_the_only_one(self, documents: Path, providers: str, db: None) -> None:
        call_command("ingest", str(documents), "--corpus", "handbook", "--chunker", "fixed")

        assert [s.chunker for s in CorpusVersion.objects.get().chunk_sets.all()] == ["fixed"]
