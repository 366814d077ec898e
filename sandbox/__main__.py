"""`python -m sandbox`: a local stand-in for Anthropic, Voyage, OpenAI and Cohere."""

import argparse
import asyncio
import logging
import signal
import sqlite3
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

from sandbox.app import build
from sandbox.bill import Bill
from sandbox.bill_file import BillFile
from sandbox.catalog import spaces_served
from sandbox.embedding import Embedding
from sandbox.encoder import MODEL_SHA256, Encoder, ModelMissing, load_minilm, load_tokenizer
from sandbox.hashing import HashingEncoder
from sandbox.spaces import rotation
from sandbox.state import Pace, Sandbox
from sandbox.tokens import LengthCounter, TokenCounter, WordPieceCounter
from sandbox.vector_store import VectorStore
from sandbox.writer import Writer

CANNOT_START = 2
SHUTDOWN_S = 0.2  # hanging answers are hanging on purpose
logger = logging.getLogger("sandbox")


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("aiohttp.access").setLevel(logging.INFO if options.access_log else logging.WARNING)
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")
    try:
        sandbox = assemble(options, worker)
    except ModelMissing as error:
        return give_up(f"{error}. Install the models with `make setup`, or start with --embedder hashing.")
    except (OSError, sqlite3.Error) as error:
        return give_up(f"cannot keep vectors and the bill in {options.data_dir}: {error}")
    try:
        asyncio.run(serve(sandbox, host=options.host, port=options.port))
    except OSError as error:
        return give_up(f"cannot listen on {options.host}:{options.port}: {error.strerror}. Try another --port.")
    finally:
        worker.shutdown(wait=False, cancel_futures=True)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8199)
    parser.add_argument("--data-dir", type=Path, help="keep computed vectors and the bill here, for the next start")
    parser.add_argument("--embedder", choices=("minilm", "hashing"), default="minilm")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="wait before every answer")
    parser.add_argument("--generate-ms", type=float, default=0.0, help="time to write one message")
    parser.add_argument("--access-log", action="store_true")
    return parser.parse_args(argv)


def assemble(options: argparse.Namespace, worker: ThreadPoolExecutor) -> Sandbox:
    """Raises ModelMissing; OSError or sqlite3.Error when the data folder cannot be used."""
    encoder: Encoder
    tokens: TokenCounter
    store = None
    if options.embedder == "minilm":
        encoder, tokens = load_minilm(), WordPieceCounter(load_tokenizer())
        if options.data_dir:
            store = VectorStore(options.data_dir / f"vectors-minilm-{MODEL_SHA256[:8]}.sqlite3")
    else:
        encoder, tokens = HashingEncoder(), LengthCounter()
    for space in spaces_served():
        worker.submit(rotation, space)  # now, rather than while somebody waits for a vector
    bill = Bill(file=BillFile(options.data_dir / "bill.jsonl") if options.data_dir else None)
    embedding = Embedding(encoder=encoder, worker=worker, store=store)
    return Sandbox(
        embedding=embedding,
        tokens=tokens,
        writer=Writer(embedding),
        pace=Pace(latency_ms=options.latency_ms, generate_ms=options.generate_ms),
        bill=bill,
    )


async def serve(sandbox: Sandbox, *, host: str, port: int) -> None:
    """Until SIGTERM or SIGINT. Raises OSError when the address cannot be used."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(build(sandbox), shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        logger.info("serving http://%s:%d with the %s embedder", host, port, sandbox.embedding.name)
        await stop.wait()
    finally:
        await runner.cleanup()


def give_up(message: str) -> int:
    sys.stderr.write(f"sandbox: {message}\n")
    return CANNOT_START


if __name__ == "__main__":
    sys.exit(main())
