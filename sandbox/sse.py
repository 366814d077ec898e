"""Server-sent events of a streamed message, in the documented order, and the ways in which a stream can break."""

import json
import re
from dataclasses import dataclass, field

from aiohttp import web

from sandbox import faults
from sandbox.call import Call
from sandbox.control import Fault

WORDS_PER_DELTA = 4
DELTA = re.compile(rf"(?:\s*\S+){{1,{WORDS_PER_DELTA}}}\s*")
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


@dataclass(slots=True)
class Sent:
    """What has gone out so far."""

    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def response(headers: dict[str, str]) -> web.StreamResponse:
    return web.StreamResponse(headers=HEADERS | headers)


def event(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def split(text: str) -> list[str]:
    """Pieces of a few words that join to `text`."""
    return DELTA.findall(text) or ([text] if text else [])


async def send_text(call: Call, out: web.StreamResponse, *, opening: dict[str, object], text: str, sent: Sent) -> None:
    """Everything up to the end of the text. Raises ConnectionResetError when the client leaves or a fault cuts."""
    pieces = split(text)
    pause_ms = _pause_ms(call, len(pieces))
    await out.write(
        event("message_start", message=opening)
        + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        + event("ping")
    )
    for number, piece in enumerate(pieces):
        await _break_off(call, out, number)
        if pause_ms:
            await faults.pause(call.request, pause_ms)
        await _send_delta(out, piece, sent)
    await _break_off(call, out, None)
    while call.fault and call.fault.kind == "endless_stream":
        await faults.pause(call.request, max(call.fault.interval_ms, 1))
        await _send_delta(out, " and so on", sent)


async def send_end(out: web.StreamResponse, stop_reason: str, stop_sequence: str | None, *, output_tokens: int) -> None:
    await out.write(
        event("content_block_stop", index=0)
        + event(
            "message_delta",
            delta={"stop_reason": stop_reason, "stop_sequence": stop_sequence},
            usage={"output_tokens": output_tokens},
        )
        + event("message_stop")
    )
    await out.write_eof()


async def _send_delta(out: web.StreamResponse, piece: str, sent: Sent) -> None:
    await out.write(event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}))
    sent.pieces.append(piece)


def _pause_ms(call: Call, pieces: int) -> float:
    if call.fault and call.fault.kind == "drip":
        return call.fault.interval_ms
    return call.sandbox.pace.generate_ms / max(pieces, 1)


async def _break_off(call: Call, out: web.StreamResponse, delta: int | None) -> None:
    """Break before delta number `after_deltas`, or at the end of a text that is shorter than that."""
    fault = call.fault
    if fault is None or (delta is not None and delta != fault.after_deltas):
        return
    await _break(call, out, fault)


async def _break(call: Call, out: web.StreamResponse, fault: Fault) -> None:
    match fault.kind:
        case "hang_mid_stream":
            await faults.until_client_leaves(call.request)
        case "cut":
            faults.reset(call.request)
        case "truncated_body":
            faults.hang_up(call.request)
        case "overloaded_stream":
            await out.write(faults.overloaded_event(call.request_id))
            await out.write_eof()
            faults.hang_up(call.request)
        case _:
            return
    raise ConnectionResetError
