"""The four vendors' own clients, pointed at a running sandbox, without retries of their own, closed with the test."""

import anthropic
import cohere
import httpx
import openai
from openai.resources.admin.organization import Organization
from voyageai.api_resources import api_requestor
from voyageai.client import Client as VoyageClient

from sandbox.tests.conftest import Running

TIMEOUT_S = 5


def claude(server: Running, *, key: str, timeout: float = TIMEOUT_S) -> anthropic.Anthropic:
    client = anthropic.Anthropic(api_key=key, base_url=f"{server.url}/anthropic", max_retries=0, timeout=timeout)
    return server.closing.enter_context(client)


def voyage(server: Running, *, timeout: float = TIMEOUT_S) -> VoyageClient:
    server.closing.callback(_close_voyage_session)
    return VoyageClient(api_key="pa-test", base_url=f"{server.url}/voyage/v1", timeout=timeout)


def gpt(server: Running, *, timeout: float = TIMEOUT_S) -> openai.OpenAI:
    client = openai.OpenAI(api_key="sk-test", base_url=f"{server.url}/openai/v1", max_retries=0, timeout=timeout)
    return server.closing.enter_context(client)


def gpt_admin(server: Running) -> Organization:
    """What only an admin key may ask."""
    client = openai.OpenAI(
        admin_api_key="sk-admin", api_key="", base_url=f"{server.url}/openai/v1", max_retries=0, timeout=TIMEOUT_S
    )
    return server.closing.enter_context(client).admin.organization


def command(server: Running, *, timeout: float = TIMEOUT_S) -> cohere.ClientV2:
    transport = server.closing.enter_context(httpx.Client(timeout=timeout))
    return cohere.ClientV2(api_key="co-test", base_url=f"{server.url}/cohere", httpx_client=transport)


def _close_voyage_session() -> None:
    """The SDK keeps one session per thread and offers no way to close it."""
    session = getattr(api_requestor._thread_context, "session", None)
    if session is not None:
        session.close()
