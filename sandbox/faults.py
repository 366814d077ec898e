"""Breaking an answer on the wire, as ordered through `/_control`."""

import asyncio
import json
import socket
import struct

from aiohttp import web

from sandbox.control import Fault
from sandbox.vendors import REQUEST_ID_HEADERS, Refusal, Vendor, error_body

WATCH_S = 0.05
LINGER_NOTHING = struct.pack("ii", 1, 0)  # closing then sends RST instead of FIN
USUAL_MESSAGES = {
    400: "The request is invalid.",
    401: "Invalid API key.",
    403: "This key may not do that.",
    408: "The request timed out.",
    429: "Rate limit exceeded, please try again later.",
    500: "Internal server error.",
    502: "Bad gateway.",
    503: "The service is temporarily unavailable.",
    504: "The gateway timed out.",
    529: "Overloaded",
}


async def instead_of_answer(
    request: web.Request, fault: Fault, *, vendor: Vendor, request_id: str
) -> web.StreamResponse | None:
    """The response that replaces the answer, or None when the answer is still to be made."""
    headers = {REQUEST_ID_HEADERS[vendor]: request_id}
    match fault.kind:
        case "status":
            refusal = Refusal(fault.status, USUAL_MESSAGES.get(fault.status, f"Error {fault.status}."))
            body = fault.body if fault.body is not None else error_body(vendor, refusal, request_id=request_id)
            return web.json_response(body, status=fault.status, headers=headers | dict(fault.headers))
        case "malformed":
            return web.Response(body=b'{"id": "broken", "data": [', content_type="application/json", headers=headers)
        case "empty_object":
            return web.json_response({}, headers=headers)
        case "hang":
            await until_client_leaves(request)
            raise ConnectionResetError
        case "reset":
            reset(request)
            raise ConnectionResetError
        case "delay":
            await asyncio.sleep(fault.delay_ms / 1_000)
    return None


async def deliver(
    request: web.Request, body: bytes, *, headers: dict[str, str], fault: Fault | None
) -> web.StreamResponse:
    """Send `body` as JSON: whole, drop by drop, or only in part."""
    kind = fault.kind if fault else None
    if kind == "drip" and fault:
        return await _drip(request, body, headers=headers, interval_ms=fault.interval_ms)
    if kind == "endless_stream" and fault:
        return await _drip_for_ever(request, headers=headers, interval_ms=fault.interval_ms)
    if kind in ("cut", "truncated_body", "hang_mid_stream"):
        await _first_half(request, body, headers=headers)
        if kind == "hang_mid_stream":
            await until_client_leaves(request)
        elif kind == "cut":
            reset(request)
        else:
            hang_up(request)
        raise ConnectionResetError
    return web.Response(body=body, content_type="application/json", headers=headers)


def client_is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


async def until_client_leaves(request: web.Request) -> None:
    while not client_is_gone(request):
        await asyncio.sleep(WATCH_S)


async def pause(request: web.Request, milliseconds: float) -> None:
    """Sleep, but raise ConnectionResetError soon after the client has gone."""
    loop = asyncio.get_running_loop()
    end = loop.time() + milliseconds / 1_000
    while (left := end - loop.time()) > 0:
        await asyncio.sleep(min(left, WATCH_S))
        if client_is_gone(request):
            raise ConnectionResetError


def reset(request: web.Request) -> None:
    """Close at once so that the client sees `connection reset by peer`."""
    if request.transport is None:
        return
    raw = request.transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOTHING)
    request.transport.abort()


def hang_up(request: web.Request) -> None:
    """Close in good order, after what was written has left."""
    if request.transport is not None:
        request.transport.close()


def _json_stream(headers: dict[str, str], **more: str) -> web.StreamResponse:
    return web.StreamResponse(headers={"Content-Type": "application/json", **headers, **more})


async def _first_half(request: web.Request, body: bytes, *, headers: dict[str, str]) -> None:
    response = _json_stream(headers, **{"Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])


async def _drip(
    request: web.Request, body: bytes, *, headers: dict[str, str], interval_ms: float
) -> web.StreamResponse:
    response = _json_stream(headers)
    await response.prepare(request)
    for position in range(len(body)):
        await response.write(body[position : position + 1])
        await pause(request, interval_ms)
    return response


async def _drip_for_ever(request: web.Request, *, headers: dict[str, str], interval_ms: float) -> web.StreamResponse:
    response = _json_stream(headers)
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await pause(request, max(interval_ms, 1))


def overloaded_event(request_id: str) -> bytes:
    body = error_body("anthropic", Refusal(529, USUAL_MESSAGES[529]), request_id=request_id)
    return b"event: error\ndata: " + json.dumps(body).encode() + b"\n\n"
