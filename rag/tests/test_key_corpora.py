"""A key that is for some corpora alone, and what staff may do with the API."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from rag.ingest import IngestReport
from rag.models import ApiKey, TraceSummary
from rag.tests.factories import CorpusFactory, StaffFactory, TraceSummaryFactory
from rag.tests.small_world import HELD, line_of

pytestmark = pytest.mark.django_db
ALL = list(ApiKey.SCOPES)


def client_of(*corpora: str) -> tuple[APIClient, ApiKey]:
    key = ApiKey(name="intranet", scopes=ALL, corpora=list(corpora))
    full_key = key.make_secret()
    key.save()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {full_key}")
    return client, key


def ask(client: APIClient, **more: Any) -> Any:
    return client.post("/api/ask", {"question": HELD, "module": "m3-hybrid"} | more, format="json")


def test_it_asks_its_own_corpus(corpus: IngestReport) -> None:
    assert ask(client_of("handbook")[0], corpus="handbook").status_code == 200


@pytest.mark.parametrize("name", ["handbook", "no-such-corpus", None])
@pytest.mark.parametrize("more", [{}, {"stream": True}, {"session": True}, {"prompt_version": "v1"}])
def test_it_asks_no_other_one_whether_there_is_one_or_not(corpus: IngestReport, name: str | None, more: Any) -> None:
    client, _ = client_of("policies")

    response = ask(client, **({"corpus": name} if name else {}), **more)

    assert response.status_code == 403
    assert response.json()["detail"].endswith("it may use: policies")
    assert line_of(response.json()["trace_id"])["status"] == 403


def test_a_key_without_a_list_asks_all(corpus: IngestReport) -> None:
    assert ask(client_of()[0], corpus="handbook").status_code == 200


def test_a_conversation_ends_with_the_right_to_its_corpus(corpus: IngestReport) -> None:
    client, key = client_of("handbook")
    session = ask(client, corpus="handbook", session=True).json()["session_id"]
    ApiKey.objects.filter(pk=key.pk).update(corpora=["policies"])

    assert ask(client, corpus="handbook", session_id=session).status_code == 403
    assert ask(client, corpus="policies", session_id=session).status_code in (404, 409)


def test_it_lists_its_own_corpora() -> None:
    for slug in ("handbook", "policies", "secret"):
        CorpusFactory.create(slug=slug)

    found = client_of("handbook", "policies")[0].get("/api/corpora").json()

    assert [each["name"] for each in found] == ["handbook", "policies"]


def test_it_reads_no_trace_of_a_corpus_that_was_taken_away(corpus: IngestReport) -> None:
    client, key = client_of("handbook")
    trace_id = ask(client, corpus="handbook").json()["trace_id"]
    assert client.get(f"/api/traces/{trace_id}").status_code == 200

    ApiKey.objects.filter(pk=key.pk).update(corpora=["policies"])

    assert client.get(f"/api/traces/{trace_id}").status_code == 404


def test_it_sees_the_costs_of_its_own_corpora() -> None:
    for slug, count in (("handbook", 2), ("policies", 3), ("secret", 5), ("", 7)):
        TraceSummaryFactory.create_batch(count, corpus=slug)

    assert client_of("handbook", "policies")[0].get("/api/stats").json()["questions"] == 5
    assert client_of("secret")[0].get("/api/stats").json()["questions"] == 5
    assert client_of()[0].get("/api/stats").json()["questions"] == 17


def test_of_the_cost_report_it_names_one_of_its_own() -> None:
    for slug in ("handbook", "secret"):
        CorpusFactory.create(slug=slug)
    client, _ = client_of("handbook")

    told = client.get("/admin/costs.json?corpus=handbook")
    assert (told.status_code, told.json()["corpus"], told.json()["budget"]) == (200, "handbook", None)
    assert client.get("/admin/costs.json?corpus=secret").status_code == 403
    assert client.get("/admin/costs.json").status_code == 403


def staff(*permissions: str) -> Client:
    user = StaffFactory.create()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("address", "permission"),
    [
        ("/api/corpora", "view_corpus"),
        ("/api/stats", "view_ledgerentry"),
        ("/admin/costs.json", "view_ledgerentry"),
        ("/", "ask_corpus"),
    ],
)
def test_staff_need_the_permission_of_the_admin(address: str, permission: str) -> None:
    assert staff().get(address).status_code == 403
    assert staff(permission).get(address).status_code == 200


def test_staff_read_traces_with_the_permission_to_see_them(corpus: IngestReport) -> None:
    trace_id = ask(client_of()[0], corpus="handbook").json()["trace_id"]

    assert staff("view_corpus", "ask_corpus").get(f"/api/traces/{trace_id}").status_code == 403
    assert staff("view_tracesummary").get(f"/api/traces/{trace_id}").status_code == 200


def test_staff_ask_and_choose_a_version_with_two_permissions(corpus: IngestReport) -> None:
    def status(client: Client, **more: Any) -> int:
        body = {"question": HELD, "corpus": "handbook", "module": "m3-hybrid"} | more
        return client.post("/api/ask", body, content_type="application/json").status_code

    asker = staff("ask_corpus")
    assert status(staff()) == 403
    assert status(asker) == 200
    assert status(asker, prompt_version="v1") == 403
    assert status(staff("ask_corpus", "view_promptversion"), prompt_version="v1") == 200


def test_a_key_is_made_for_corpora_in_the_admin(client: Client, alice: User) -> None:
    client.force_login(alice)
    form = {"name": "intranet", "scopes": ["ask"], "expires_at_0": "", "expires_at_1": ""}

    client.post("/admin/rag/apikey/add/", form | {"corpora": "handbook, policies,handbook"})
    key = ApiKey.objects.get()
    client.post(f"/admin/rag/apikey/{key.pk}/change/", form | {"corpora": ""})

    assert key.corpora == ["handbook", "policies"]
    assert ApiKey.objects.get().corpora == []


def test_the_form_shows_the_corpora_as_they_are_written(client: Client, alice: User) -> None:
    client.force_login(alice)
    _, key = client_of("handbook", "policies")

    assert 'value="handbook, policies"' in client.get(f"/admin/rag/apikey/{key.pk}/change/").content.decode()


@pytest.mark.parametrize("wrong", ["Hand Book", "../etc", "a"])
def test_what_cannot_be_a_corpus_is_refused(client: Client, alice: User, wrong: str) -> None:
    client.force_login(alice)

    client.post("/admin/rag/apikey/add/", {"name": "x", "scopes": ["ask"], "corpora": f"handbook, {wrong}"})
    with pytest.raises(CommandError, match="not the name of a corpus"):
        call_command("apikey", "create", "x", "--corpus", wrong)

    assert not ApiKey.objects.exists()


def test_a_key_is_made_for_corpora_by_command(capsys: pytest.CaptureFixture[str]) -> None:
    out = StringIO()
    call_command("apikey", "create", "intranet", "--corpus", "handbook, policies", stdout=out)
    call_command("apikey", "create", "everything", stdout=out)
    call_command("apikey", "list", stdout=out)

    assert [key.corpora for key in ApiKey.objects.order_by("pk")] == [["handbook", "policies"], []]
    assert "handbook,policies" in out.getvalue()
    assert "all corpora" in out.getvalue()


def test_refused_questions_are_not_counted_as_a_corpus_of_the_key(corpus: IngestReport) -> None:
    ask(client_of("policies")[0], corpus="handbook")

    assert TraceSummary.objects.get().corpus == ""


CALLS: dict[str, Callable[[ApiKey], bool]] = {
    "its own": lambda key: key.may_use("handbook"),
    "another": lambda key: not key.may_use("policies"),
    "none": lambda key: not key.may_use(""),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_list_is_exact(name: str) -> None:
    assert CALLS[name](ApiKey(corpora=["handbook"]))
