"""A server that is slow in every way that a server can be; the request's `model` names the way."""

import asyncio
import json
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

DRIP_S = 0.02
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


@dataclass
class SlowServer:
    """`open` counts the connections that stand now, `opened` all there ever were, `served` the requests."""

    answers: dict[str, Any] = field(default_factory=dict)
    """path -> what is answered there to an ordinary model"""
    port: int = 0
    open: int = 0
    opened: int = 0
    served: int = 0
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    async def connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.open, self.opened = self.open + 1, self.opened + 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    await self.exchange(reader, writer)
        finally:
            self.open -= 1
            writer.transport.abort()

    async def exchange(self, reader: StreamReader, writer: StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.served += 1
        length = next(
            (line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length")), 0
        )
        body = await reader.readexactly(int(length))
        whole = json.dumps(self.answers[head.split()[1]]).encode()
        await self.answer(reader, writer, json.loads(body)["model"], whole)

    async def answer(self, reader: StreamReader, writer: StreamWriter, model: str, whole: bytes) -> None:
        head = HEAD % len(whole)
        if model == "stall":
            await reader.read()
        elif model == "header drip":
            await drip(reader, writer, head[:20] + b"X-Slow: " + b"x" * 5000)
        elif model == "body drip":
            writer.write(head)
            await drip(reader, writer, b" " * 5000)
        elif model == "half":
            writer.write(head + whole[:10])
            await reader.read()
        elif model == "events":
            writer.write(EVENTS)
            while not reader.at_eof():
                await drip(reader, writer, PING)
        else:
            writer.write(head + whole)


async def drip(reader: StreamReader, writer: StreamWriter, data: bytes) -> None:
    for position in range(len(data)):
        if reader.at_eof():
            raise ConnectionResetError
        writer.write(data[position : position + 1])
        await writer.drain()
        await asyncio.sleep(DRIP_S)


@contextmanager
def running(
    server: SlowServer,
    serve: Callable[[StreamReader, StreamWriter], Awaitable[None]] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[SlowServer]:
    """The server in one thread, on a port of its own."""
    ready = threading.Event()

    async def main() -> None:
        listener = await asyncio.start_server(serve or server.connection, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        listener.close()

    stop = asyncio.Event()
    thread = threading.Thread(target=run, args=(server.loop, main()))
    thread.start()
    ready.wait(5)
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(stop.set)
        thread.join(5)


def run(loop: asyncio.AbstractEventLoop, main: Any) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main)
