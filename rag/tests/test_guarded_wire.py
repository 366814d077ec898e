"""The wire below the SDKs: connecting, TLS, writing and proxies, each of which can stall."""

import ipaddress
import socket
import ssl
import threading
import time
from asyncio import StreamReader, StreamWriter, gather, open_connection
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rag.providers.deadline import Cancelled, deadline
from rag.providers.deadline_transport import bounded
from rag.tests.slow_server import SlowServer, running
from rag.tests.timing import cancelled_after, seconds_until, settled

TIME_S = 0.3
LATE_S = 0.2
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


@dataclass(frozen=True)
class Certificate:
    path: Path

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path)
        return context

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.path))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "slow")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return Certificate(path)


@pytest.fixture
def secure(certificate: Certificate) -> Iterator[SlowServer]:
    with running(SlowServer(answers={"/": {"whole": "x" * 100_000}}), tls=certificate.server()) as server:
        yield server


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts, and neither reads nor writes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def full() -> Iterator[int]:
    """The port of a server whose queue is full: connecting hangs."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[1]


def ask(client: Any, port: int, model: str = "m", **more: Any) -> Any:
    return client.post(f"https://127.0.0.1:{port}/", json={"model": model, **more}).json()


def cut_on_time(library: Any, call: Callable[[], Any]) -> bool:
    with deadline(TIME_S):
        took = seconds_until(library.TimeoutException, call)
    return TIME_S <= took < TIME_S + LATE_S


@LIBRARIES
@pytest.mark.parametrize("fault", ["stall", "header drip", "body drip", "half"])
def test_tls_keeps_the_deadline(certificate: Certificate, secure: SlowServer, library: Any, fault: str) -> None:
    client = bounded(library.Client(verify=certificate.client(), timeout=30))

    assert cut_on_time(library, lambda: ask(client, secure.port, fault))
    assert len(ask(client, secure.port)["whole"]) == 100_000
    assert settled(lambda: secure.open, 1) == 1


@LIBRARIES
def test_a_large_answer_and_a_large_question_pass_through_tls(
    certificate: Certificate, secure: SlowServer, library: Any
) -> None:
    client = bounded(library.Client(verify=certificate.client()))

    for _ in range(3):
        assert len(ask(client, secure.port, filler="y" * 60_000)["whole"]) == 100_000
    assert secure.opened == 1


@LIBRARIES
def test_tls_names_the_host_and_speaks_http_1_only(certificate: Certificate, library: Any) -> None:
    named: list[str | None] = []
    context = certificate.server()
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.sni_callback = lambda tls, name, _: named.append(name)
    with running(SlowServer(answers={"/": {}}), tls=context) as server:
        client = bounded(library.Client(verify=certificate.client()))
        more: Any = {"extensions": {"sni_hostname": "localhost"}, "json": {"model": "m"}}

        client.post(f"https://127.0.0.1:{server.port}/", json={"model": "m"})
        with pytest.raises(library.ConnectError, match="not valid for 'localhost'"):
            client.post(f"https://127.0.0.1:{server.port}/", **more)
        [connection] = client._transport._pool._idle
        client.close()

    assert (named[-1], connection.origin.host) == ("localhost", "127.0.0.1")


@LIBRARIES
def test_a_second_answer_in_another_tls_record_is_never_read_as_the_next(
    certificate: Certificate, library: Any
) -> None:
    async def twice(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(EOFError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
                writer.writelines([head + b"ours", head + b"evil"])  # two records, one packet
        writer.transport.abort()

    with running(SlowServer(), twice, certificate.server()) as server:
        client = bounded(library.Client(verify=certificate.client()))

        answers = [client.get(f"https://127.0.0.1:{server.port}/").text for _ in range(20)]
        client.close()

    assert answers == ["ours"] * 20


@LIBRARIES
def test_a_cancelled_call_over_tls_ends_at_once(certificate: Certificate, secure: SlowServer, library: Any) -> None:
    client = bounded(library.Client(verify=certificate.client(), timeout=30))

    with cancelled_after(0.1):
        took = seconds_until(Cancelled, lambda: ask(client, secure.port, "half"))

    assert took < 0.1 + LATE_S


@LIBRARIES
def test_a_certificate_that_nobody_trusts_is_refused(secure: SlowServer, library: Any) -> None:
    client = bounded(library.Client())

    with pytest.raises(library.ConnectError, match="certificate verify failed"):
        ask(client, secure.port)


@LIBRARIES
def test_a_certificate_for_another_host_is_refused(certificate: Certificate, secure: SlowServer, library: Any) -> None:
    client = bounded(library.Client(verify=certificate.client()))

    with pytest.raises(library.ConnectError, match="certificate verify failed"):
        client.post(f"https://localhost:{secure.port}/", json={"model": "m"})


@LIBRARIES
def test_a_handshake_that_stalls_is_cut(silent: int, library: Any) -> None:
    client = bounded(library.Client(timeout=30))

    assert cut_on_time(library, lambda: ask(client, silent))


def test_a_handshake_that_stalls_does_not_stop_other_threads(silent: int, secure: SlowServer) -> None:
    client = bounded(httpx2.Client(timeout=30))

    def stall() -> None:
        with deadline(1.0), suppress(httpx2.TimeoutException):
            ask(client, silent)

    stalling = threading.Thread(target=stall)
    stalling.start()
    time.sleep(0.1)
    took = seconds_until(httpx2.ConnectError, lambda: ask(client, secure.port))

    assert took < 0.5
    stalling.join()


@LIBRARIES
def test_connecting_is_cut(full: int, library: Any) -> None:
    client = bounded(library.Client(timeout=30))

    assert cut_on_time(library, lambda: ask(client, full))


@LIBRARIES
def test_connecting_is_cancelled_at_once(full: int, library: Any) -> None:
    client = bounded(library.Client(timeout=30))

    with cancelled_after(0.1):
        took = seconds_until(Cancelled, lambda: ask(client, full))

    assert took < 0.1 + LATE_S


@LIBRARIES
def test_nobody_listening_is_an_error_of_connecting(library: Any) -> None:
    client = bounded(library.Client())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with deadline(5), pytest.raises(library.ConnectError):
        ask(client, port)


@LIBRARIES
def test_a_question_that_nobody_reads_is_cut(silent: int, library: Any) -> None:
    client = bounded(library.Client(timeout=30))

    assert cut_on_time(library, lambda: client.post(f"http://127.0.0.1:{silent}/", content=bytes(30_000_000)))


async def proxy(reader: StreamReader, writer: StreamWriter) -> None:
    target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
    host, _, port = target.partition(":")
    above_reader, above_writer = await open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    try:
        with suppress(ConnectionError):
            await gather(pipe(reader, above_writer), pipe(above_reader, writer))
    finally:
        above_writer.transport.abort()
        writer.transport.abort()


async def pipe(source: StreamReader, sink: StreamWriter) -> None:
    while data := await source.read(65_536):
        sink.write(data)
    raise ConnectionResetError


@LIBRARIES
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_is_used_and_keeps_the_deadline(
    certificate: Certificate, secure: SlowServer, library: Any, scheme: str
) -> None:
    trust = certificate.client()
    with running(SlowServer(), proxy, certificate.server() if scheme == "https" else None) as middle:
        through = library.Proxy(f"{scheme}://127.0.0.1:{middle.port}", ssl_context=trust if scheme == "https" else None)
        client = bounded(library.Client(verify=trust, proxy=through, timeout=30))

        assert len(ask(client, secure.port)["whole"]) == 100_000
        assert cut_on_time(library, lambda: ask(client, secure.port, "body drip"))
        client.close()


def test_a_proxy_of_the_environment_is_bounded_as_well(monkeypatch: pytest.MonkeyPatch, silent: int) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{silent}")
    client = bounded(httpx.Client(timeout=30))

    assert cut_on_time(httpx, lambda: client.get("https://provider.example/"))
