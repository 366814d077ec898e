"""`/healthz`, `/_control` and `/_bill`: the doors for tests, drills and comparisons. They need no key."""

import json
from typing import Any

from aiohttp import web

from sandbox.control import BadOrder
from sandbox.state import SANDBOX


async def healthz(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "embedder": request.app[SANDBOX].embedding.name})


async def place_order(request: web.Request) -> web.Response:
    order = request.app[SANDBOX].control.order(await _object(request))
    return web.json_response(order.shown(), status=201)


async def list_orders(request: web.Request) -> web.Response:
    return web.json_response({"faults": [order.shown() for order in request.app[SANDBOX].control.orders()]})


async def clear_orders(request: web.Request) -> web.Response:
    request.app[SANDBOX].control.clear()
    return web.json_response({"faults": []})


async def remove_order(request: web.Request) -> web.Response:
    if not request.app[SANDBOX].control.remove(int(request.match_info["id"])):
        return web.json_response({"error": "there is no such order"}, status=404)
    return await list_orders(request)


async def move_clock(request: web.Request) -> web.Response:
    wanted, clock = await _object(request), request.app[SANDBOX].clock
    seconds, bill = _number(wanted, "advance_s", default=None), wanted.get("bill", False)
    if not isinstance(bill, bool):
        raise BadOrder("bill must be true or false")
    clock.advance(seconds, bill=bill)
    return web.json_response({"now": clock.moment().isoformat(), "bill": clock.bill_moment().isoformat()})


async def set_pace(request: web.Request) -> web.Response:
    wanted, pace = await _object(request), request.app[SANDBOX].pace
    latency = _number(wanted, "latency_ms", default=pace.latency_ms)
    generate = _number(wanted, "generate_ms", default=pace.generate_ms)
    pace.latency_ms, pace.generate_ms = latency, generate
    return web.json_response({"latency_ms": latency, "generate_ms": generate})


async def show_bill(request: web.Request) -> web.Response:
    since = request.query.get("since", "0")
    if not since.isdecimal():
        raise BadOrder("since must be a whole number, the count of entries already seen")
    return web.json_response(request.app[SANDBOX].bill.report(since=int(since)))


async def reset_bill(request: web.Request) -> web.Response:
    request.app[SANDBOX].bill.reset()
    return await show_bill(request)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/healthz", healthz),
        web.post("/_control", place_order),
        web.get("/_control", list_orders),
        web.delete("/_control", clear_orders),
        web.delete(r"/_control/{id:\d+}", remove_order),
        web.post("/_control/clock", move_clock),
        web.post("/_control/latency", set_pace),
        web.get("/_bill", show_bill),
        web.delete("/_bill", reset_bill),
    ]


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise BadOrder(f"the body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadOrder("the body must be a JSON object")
    return body


def _number(body: dict[str, Any], name: str, *, default: float | None) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise BadOrder(f"{name} must be a number, 0 or more")
    return value
