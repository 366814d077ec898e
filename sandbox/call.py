"""One request to a provider endpoint: read, broken on order, checked, answered, delivered."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

from aiohttp import web

from sandbox import faults
from sandbox.bill_entry import Entry
from sandbox.control import Fault
from sandbox.state import SANDBOX, Sandbox
from sandbox.vendors import REQUEST_ID_HEADERS, Refusal, Vendor, error_body

CLIENT_CLOSED = 499


@dataclass(frozen=True, slots=True)
class Call:
    """`fault` is what the answer itself must suffer; faults that replace the answer are gone by now."""

    sandbox: Sandbox
    request: web.Request
    vendor: Vendor
    request_id: str
    key: str
    raw: bytes
    body: dict[str, Any]
    fault: Fault | None

    @property
    def model(self) -> str:
        """Raises Refusal(400) when the body names no model."""
        model = self.body.get("model")
        if not isinstance(model, str) or not model:
            raise Refusal(400, "model: Field required")
        return model

    @property
    def headers(self) -> dict[str, str]:
        return {REQUEST_ID_HEADERS[self.vendor]: self.request_id}

    def charge(self, *, operation: str, usage: dict[str, int], cost: Decimal) -> None:
        """Put this call on the sandbox's bill."""
        entry = Entry(
            at=self.sandbox.clock.bill_moment(),
            provider=self.vendor,
            model=self.model,
            operation=operation,
            key=self.key[-4:],
            request_id=self.request_id,
            usage=usage,
            cost_usd=cost,
        )
        self.sandbox.bill.add(entry)

    async def deliver(self, payload: object) -> web.StreamResponse:
        """Send a whole JSON answer, broken as ordered."""
        return await faults.deliver(self.request, json.dumps(payload).encode(), headers=self.headers, fault=self.fault)


Answer = Callable[[Call], Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def endpoint(name: str, *, vendor: Vendor, answer: Answer) -> Handler:
    """An aiohttp handler around `answer`. `name` is what faults are ordered by."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request_id = new_request_id()
        sandbox = request.app[SANDBOX]
        try:
            raw = await request.read()
            fault = sandbox.control.take(endpoint=name, raw=raw)
            if fault:
                replaced = await faults.instead_of_answer(request, fault, vendor=vendor, request_id=request_id)
                if replaced is not None:
                    return replaced
            key = api_key(request)
            body = {} if request.method == "GET" else parse(raw)
            if sandbox.pace.latency_ms:
                await asyncio.sleep(sandbox.pace.latency_ms / 1_000)
            return await answer(Call(sandbox, request, vendor, request_id, key, raw, body, fault))
        except Refusal as refusal:
            return refused(vendor, refusal, request_id=request_id)
        except ConnectionResetError:  # the client has left, or a fault has cut it off: nobody reads this
            faults.hang_up(request)
            return web.Response(status=CLIENT_CLOSED)

    return handle


def refused(vendor: Vendor, refusal: Refusal, *, request_id: str) -> web.Response:
    body = error_body(vendor, refusal, request_id=request_id)
    return web.json_response(body, status=refusal.status, headers={REQUEST_ID_HEADERS[vendor]: request_id})


def new_request_id() -> str:
    return f"req_{uuid4().hex[:24]}"


def api_key(request: web.Request) -> str:
    """Any non-empty key is good. Raises Refusal(401)."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    key = bearer.strip() if scheme.lower() == "bearer" else ""
    key = key or request.headers.get("x-api-key", "").strip()
    if not key:
        raise Refusal(401, "No API key was sent: use the header Authorization: Bearer <key> or x-api-key.")
    return key


def parse(raw: bytes) -> dict[str, Any]:
    """Raises Refusal(400) for anything but a JSON object of valid Unicode."""
    try:
        body = json.loads(raw)
        if rb"\ud" in raw.lower():
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"The request body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refusal(400, "The request body must be a JSON object.")
    return body
