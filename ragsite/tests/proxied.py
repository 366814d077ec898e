"""The site behind a real nginx, with the configuration that is deployed and a self-made certificate."""

import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from rag.tests.serving import web_process
from ragsite import certificates, nginx
from ragsite.nginx import Site
from ragsite.processes import free_port

NAME = "docs.example.org"
UPLOAD_MB = 3
SERVICE = {
    "DEBUG": "false",
    "SECRET_KEY": "a long and random text, of which nobody but this test knows",
    "ALLOWED_HOSTS": f"{NAME},127.0.0.1",
    "TRUSTED_PROXIES": "127.0.0.1",
    "ALLOW_SANDBOX": "true",
    "INGEST_MAX_UPLOAD_MB": str(UPLOAD_MB),
}


@dataclass(frozen=True, slots=True)
class Proxied:
    """`url`: of the site through nginx, by https. `http_url`: where plain http is sent away. `web_url`: past nginx."""

    url: str
    http_url: str
    web_url: str
    sub_path: str
    trust: ssl.SSLContext

    @property
    def host(self) -> str:
        """By which name the site is asked, with its port."""
        return f"{NAME}:{httpx.URL(self.url).port}"

    @property
    def address(self) -> str:
        """What stands in the browser's address line before the page."""
        return f"https://{self.host}{self.sub_path}"

    def client(self, **headers: str) -> httpx.Client:
        """Asks by the site's name and speaks to this machine."""
        return httpx.Client(base_url=self.url, headers={"Host": self.host} | headers, verify=self.trust, timeout=60)


def the_nginx() -> str:
    """Without nginx these tests prove nothing: on a machine of one's own they are skipped, in CI they fail."""
    try:
        return nginx.binary()
    except nginx.NginxMissing as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(f"NOT TESTED: {error}")


@contextmanager
def behind_nginx(
    folder: Path, *, static_root: Path, sub_path: str = "", outer_proxies: tuple[str, ...] = (), **more: str
) -> Iterator[Proxied]:
    """`more`: variables of the web process."""
    variables = SERVICE | {"STATIC_ROOT": str(static_root), "FORCE_SCRIPT_NAME": sub_path} | more
    binary = the_nginx()
    with web_process(folder / "web.log", more=variables) as (web_url, _):
        https_port, http_port = free_port(0), free_port(0)
        certificate, key = certificates.self_made(folder=folder / "tls", names=(NAME, "127.0.0.1"))
        site = Site(
            names=(NAME,),
            upstreams=(web_url.removeprefix("http://"),),
            certificate=str(certificate),
            key=str(key),
            static_root=str(static_root),
            upload_mb=UPLOAD_MB,
            request_timeout_s=settings.REQUEST_TIMEOUT_S,
            sub_path=sub_path,
            outer_proxies=outer_proxies,
            https_port=f"127.0.0.1:{https_port}",
            http_port=f"127.0.0.1:{http_port}",
            access_log=str(folder / "access.log"),
        )
        with running(binary, site, folder):
            trust = ssl.create_default_context(cafile=str(certificate))
            yield Proxied(
                f"https://127.0.0.1:{https_port}{sub_path}", f"http://127.0.0.1:{http_port}", web_url, sub_path, trust
            )


@contextmanager
def running(binary: str, site: Site, folder: Path) -> Iterator[None]:
    file, status_port = folder / "nginx.conf", free_port(0)
    text = nginx.main_file(
        site,
        folder=folder,
        status_port=status_port,
        workers=1,
        mime_types=nginx.mime_types_of(binary),
        as_user="root" if os.geteuid() == 0 else "",
    )
    nginx.write(file=file, text=text)
    assert nginx.complaint(binary, folder=folder, file=file) == ""
    log = (folder / "nginx.log").open("ab")
    with log, subprocess.Popen(nginx.command(binary, folder=folder, file=file), stdout=log, stderr=log) as process:
        try:
            wait_for(f"http://127.0.0.1:{status_port}/nginx-status", folder / "nginx.log")
            yield
        finally:
            process.send_signal(signal.SIGQUIT)


def wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=2).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"nginx did not start: {log.read_text()[-2000:]}")


@contextmanager
def signed_in(site: Proxied, name: str = "alice") -> Iterator[httpx.Client]:
    """Through the form, as a browser does it: with its cookies, its token and its Referer."""
    with site.client() as browser:
        form = {"username": name, "password": name, "csrfmiddlewaretoken": token_in(browser.get("/admin/login/"))}
        headers = {"Referer": f"{site.address}/admin/login/", "Origin": f"https://{site.host}"}
        reply = browser.post("/admin/login/", data=form, headers=headers)
        assert reply.status_code == 302, reply.text[:500]
        yield browser


def token_in(page: httpx.Response) -> str:
    """The one against forged requests, of a page's form."""
    return page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
