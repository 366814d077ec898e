"""The process as a whole: its command line, its doors, its end."""

import signal
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest

from sandbox.tests.clients import voyage
from sandbox.tests.conftest import ROOT, post, running


def test_health_names_the_embedder(server):
    assert server.ask("GET", "/healthz") == {"status": "ok", "embedder": "minilm"}


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/anthropic/v1/nothing", lambda body: body["error"]["type"] == "not_found_error"),
        ("/openai/v1/nothing", lambda body: "message" in body["error"]),
        ("/voyage/v1/nothing", lambda body: "detail" in body),
        ("/cohere/v2/nothing", lambda body: "message" in body),
        ("/elsewhere", lambda body: body["error"]["type"] == "not_found_error"),
    ],
)
def test_an_unknown_path_is_not_found_in_the_vendors_shape(server, path, shape):
    answer = post(server, path, {})

    assert answer.status_code == 404
    assert shape(answer.json())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"model": "\\ud800"}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(server, body):
    answer = post(server, "/anthropic/v1/messages", body)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic abc"}, {"x-api-key": ""}]
)
def test_a_missing_key_is_refused(server, headers):
    answer = server.http.post("/anthropic/v1/messages", json={}, headers=headers)

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"


def test_a_body_over_32_megabytes_is_refused(server):
    answer = post(server, "/anthropic/v1/messages", b" " * (32 * 1024 * 1024 + 1))

    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"


def test_the_wrong_method_is_refused(server):
    assert server.http.get("/voyage/v1/embeddings").status_code == 405


def test_a_taken_port_ends_the_program_with_a_reason(server):
    port = server.url.rpartition(":")[2]

    ended = subprocess.run(
        [sys.executable, "-m", "sandbox", "--embedder", "hashing", "--port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr


def test_missing_models_end_the_program_with_a_remedy():
    code = (
        "import sys, sandbox.encoder as encoder; encoder.MODEL_PACKAGE = 'not_installed_anywhere';"
        "from sandbox.__main__ import main; sys.exit(main(['--port', '1']))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )

    assert ended.returncode == 2
    assert "make setup" in ended.stderr


def test_an_unusable_data_folder_ends_the_program_with_a_reason(tmp_path):
    (tmp_path / "file").write_text("not a folder")

    ended = subprocess.run(
        [sys.executable, "-m", "sandbox", "--port", "1", "--data-dir", str(tmp_path / "file")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert ended.returncode == 2
    assert "cannot keep vectors and the bill" in ended.stderr


def test_broken_answers_leave_no_traceback_in_the_log():
    with running("--embedder", "hashing") as server:
        for kind in ("reset", "cut", "truncated_body", "hang_mid_stream", "drip", "malformed"):
            server.break_next("cohere.rerank", kind=kind)
        for _ in range(6):
            with suppress(httpx.TransportError):
                body = {"model": "rerank-v3.5", "query": "x", "documents": ["y"]}
                server.http.post("/cohere/v2/rerank", json=body, headers={"x-api-key": "k"}, timeout=0.3)
        time.sleep(0.2)
        server.log.seek(0)

        assert "Traceback" not in server.log.read()


def test_sigterm_ends_it_quickly_even_while_answers_hang():
    with running("--embedder", "hashing") as server:
        server.break_next("voyage.embeddings", kind="hang", times=None)
        client = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import sys, urllib.request as u; u.urlopen(sys.argv[1], b'{}')",
                f"{server.url}/voyage/v1/embeddings",
            ],
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.4)
        started = time.monotonic()

        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(timeout=10)

        assert (status, time.monotonic() - started < 2) == (0, True)
        client.wait(timeout=10)


def test_vectors_survive_a_kill(tmp_path):
    text = ["A sentence worth keeping over a restart."]
    with running("--data-dir", str(tmp_path)) as server:
        before = voyage(server).embed(text, model="voyage-3.5").embeddings
        server.process.kill()
        server.process.wait(timeout=10)
        server.closing.close()
    (file,) = tmp_path.glob("vectors-minilm-*.sqlite3")

    with running("--data-dir", str(tmp_path)) as server:
        after = voyage(server).embed(text, model="voyage-3.5").embeddings
        server.closing.close()

    assert file.stat().st_size > 0
    assert before == after


def test_the_hashing_embedder_keeps_the_widths_and_needs_no_model():
    with running("--embedder", "hashing") as hashed:
        vectors = voyage(hashed).embed(["caching pages", "cached page", "yellow fruit"], model="voyage-3.5").embeddings
        hashed.closing.close()

    alike = sum(x * y for x, y in zip(vectors[0], vectors[1], strict=True))
    apart = sum(x * y for x, y in zip(vectors[0], vectors[2], strict=True))
    assert len(vectors[0]) == 1_024
    assert alike > 0.9 > 0.5 > apart
