"""What stands in `deploy/` fits the code: queues, commands, limits, and examples that are what the command prints."""

import re
import shutil
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings, settings
from django.core.management import CommandError, call_command

from ragsite import certificates, nginx
from ragsite.nginx import Site, Unusable
from ragsite.processes import free_port
from ragsite.tests.proxied import the_nginx

DEPLOY = Path(settings.BASE_DIR) / "deploy"
STATIC = ["--static-root", "/opt/ragsite/static-collected"]
UNITS = sorted((DEPLOY / "systemd").iterdir())
PROCESSES = ("web", "worker", "ingests", "beat", "chroma")
SITE = Site(
    names=("docs.example.org",),
    upstreams=("10.0.0.2:8000", "10.0.0.3:8000"),
    certificate="/tls/site.crt",
    key="/tls/site.key",
    static_root="/srv/static/",
    upload_mb=100,
    request_timeout_s=25,
)


def printed(*options: str) -> str:
    out = StringIO()
    call_command("nginx", *options, *STATIC, stdout=out)
    return out.getvalue()


def example(name: str) -> str:
    return (DEPLOY / "nginx" / f"{name}.example.conf").read_text("utf-8")


def test_the_example_of_a_site_with_its_own_name_is_what_the_command_prints() -> None:
    assert example("sub-domain") == printed("--name", "docs.example.org")


@pytest.mark.parametrize("part", ["http", "locations"])
def test_the_example_of_a_site_below_a_path_is_what_the_command_prints(part: str, settings: LazySettings) -> None:
    settings.FORCE_SCRIPT_NAME = "/ragsite"

    assert example(f"sub-path.{part}") == printed("--name", "www.example.org", "--part", part)


def test_without_a_name_the_command_says_what_is_missing(settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = []

    with pytest.raises(CommandError, match="--name"):
        call_command("nginx")


@pytest.mark.parametrize("field", ["names", "upstreams", "outer_proxies"])
@pytest.mark.parametrize("evil", ["a; deny all", "a{", "a b", "a\nb", "$host", ""])
def test_a_value_that_would_end_its_directive_is_refused(field: str, evil: str) -> None:
    values = {name: getattr(SITE, name) for name in SITE.__slots__} | {field: (evil,)}

    with pytest.raises(Unusable):
        nginx.whole_site(Site(**values))


@pytest.mark.parametrize(("timeout_s", "told"), [(25, "60s"), (90, "105s")])
def test_the_proxy_is_more_patient_than_the_site(timeout_s: float, told: str) -> None:
    values = {name: getattr(SITE, name) for name in SITE.__slots__} | {"request_timeout_s": timeout_s}

    assert f"proxy_read_timeout {told};" in nginx.locations(Site(**values))


@pytest.mark.parametrize("sub_path", ["", "/a/b"])
@pytest.mark.parametrize("outer_proxies", [(), ("10.0.0.0/8", "fd00::/8")])
def test_nginx_takes_every_variant(sub_path: str, outer_proxies: tuple[str, ...], tmp_path: Path) -> None:
    binary = the_nginx()
    certificate, key = certificates.self_made(folder=tmp_path, names=("docs.example.org",))
    values = {name: getattr(SITE, name) for name in SITE.__slots__} | {
        "certificate": str(certificate),
        "key": str(key),
        "sub_path": sub_path,
        "outer_proxies": outer_proxies,
        "https_port": f"127.0.0.1:{free_port(0)}",
        "http_port": f"127.0.0.1:{free_port(0)}",
        "access_log": str(tmp_path / "access.log"),
    }
    file = tmp_path / "nginx.conf"
    text = nginx.main_file(
        Site(**values), folder=tmp_path, status_port=free_port(0), workers=1, mime_types=nginx.mime_types_of(binary)
    )
    nginx.write(file=file, text=text)

    assert nginx.complaint(binary, folder=tmp_path, file=file) == ""


def test_what_nginx_has_against_a_configuration_is_told(tmp_path: Path) -> None:
    nginx.write(file=tmp_path / "nginx.conf", text="events {} http { nonsense; }")

    assert "nonsense" in nginx.complaint(the_nginx(), folder=tmp_path, file=tmp_path / "nginx.conf")


def commands_of(process: str) -> tuple[str, ...]:
    """What starts a process: by systemd, by a Procfile, by Docker."""
    unit = (DEPLOY / "systemd" / f"ragsite-{process}.service").read_text("utf-8")
    started = re.search(r"^ExecStart=/opt/ragsite/\.venv/bin/(.+)$", unit, re.MULTILINE)
    procfile = re.search(rf"^{process}: (.+)$", (DEPLOY / "Procfile").read_text("utf-8"), re.MULTILINE)
    assert started is not None
    assert procfile is not None
    return started.group(1), procfile.group(1)


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_can_be_started_every_way(process: str) -> None:
    unit, procfile = commands_of(process)

    assert unit.split()[0] == procfile.split()[0]
    assert f"\n  {process}:\n" in (DEPLOY / "compose.yaml").read_text("utf-8")


def test_every_queue_has_a_worker() -> None:
    named = {
        command.partition("--queues ")[2].split()[0] for name in ("worker", "ingests") for command in commands_of(name)
    }

    assert named == {settings.CELERY_TASK_DEFAULT_QUEUE, settings.INGEST_QUEUE}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_the_units(unit: Path, tmp_path: Path) -> None:
    """Its programs stand elsewhere here, so they are put where this environment has them."""
    for each in UNITS:
        text = each.read_text("utf-8").replace("/opt/ragsite/.venv", str(Path(settings.BASE_DIR) / ".venv"))
        (tmp_path / each.name).write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )

    assert [line for line in done.stderr.splitlines() if "ragsite" in line] == []
