"""`manage.py service` (`make service`): the service mode on this one machine, under one supervisor, until Ctrl-C.

PostgreSQL and Redis are given by DATABASE_URL and REDIS_URL. Started here: Chroma, web processes, two workers, beat, nginx.
"""

import os
import signal
import socket
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from ragsite import backing, by_hand, certificates, nginx
from ragsite.local import read_or_make_secret
from ragsite.management.commands import up
from ragsite.nginx import NginxMissing, Site, Unusable
from ragsite.processes import Part, free_port, listener

HTTPS_PORT = 8443
STATUS_PORT = 8089
FEWEST_WEB_PROCESSES = 2
LOOPBACK = ("localhost", "127.0.0.1")


class Command(up.Command):
    help = "The service mode on this machine: PostgreSQL and Redis as given, and everything else, behind nginx, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=HTTPS_PORT, help=f"where nginx listens for https; {HTTPS_PORT}")
        parser.add_argument("--http-port", type=int, help="where nginx sends plain http to https; default: nowhere")
        parser.add_argument("--name", action="append", help="of the site, may be repeated; default: ALLOWED_HOSTS")
        parser.add_argument("--certificate", type=Path, help="default: one that is made here, which no browser trusts")
        parser.add_argument("--key", type=Path, help="of the certificate")
        parser.add_argument("--sample", action="store_true", help="ingest the sample corpus")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["certificate"]) != bool(options["key"]):
            raise CommandError("--certificate and --key belong together")
        try:
            self.nginx = nginx.binary()
            backing.demand()
        except (NginxMissing, backing.NotThere) as error:
            raise CommandError(str(error)) from error
        super().handle(*args, **options)

    def supervise(self, run_dir: Path, options: dict[str, Any]) -> None:
        """The ports are tried here, once an nginx that a killed supervisor has left behind is stopped."""
        for port in filter(None, (options["port"], options["http_port"])):
            if free_port(port) != port:
                raise CommandError(
                    f"port {port} is in use, or not yours to use: choose another with --port or --http-port"
                )
        super().supervise(run_dir, options)

    def environment(self, options: dict[str, Any]) -> dict[str, str]:
        hosts = dict.fromkeys((*names(options), *settings.ALLOWED_HOSTS, *LOOPBACK))
        return {
            "DEBUG": "false",
            "SECRET_KEY": secret_key(),
            "ALLOWED_HOSTS": ",".join(hosts),
            "TRUSTED_PROXIES": "127.0.0.1",
            "PUBLIC_URL": settings.PUBLIC_URL or public_url(options),
            "WEB_PROCESSES": str(max(FEWEST_WEB_PROCESSES, settings.WEB_PROCESSES)),
            "WEB_THREADS": str(settings.WEB_THREADS),
        }

    def outer_parts(self, chroma: int, sandbox: int) -> list[Part]:
        """The sandbox only where it is wanted: without keys and without ALLOW_SANDBOX the checks say what is missing."""
        simulated = any(provider["mode"] == "simulated" for provider in settings.PROVIDERS.values())
        wanted = {"chroma", "sandbox"} if simulated and settings.ALLOW_SANDBOX else {"chroma"}
        return [part for part in super().outer_parts(chroma, sandbox) if part.name in wanted]

    def prepare_options(self, options: dict[str, Any]) -> list[str]:
        return [] if options["sample"] else ["--without-sample"]

    def listener(self, options: dict[str, Any]) -> socket.socket:
        return listener(0)

    def own_parts(self, web: socket.socket, options: dict[str, Any]) -> list[Part]:
        return [*celery_parts(), up.web_part(web), self.nginx_part(web, options)]

    def nginx_part(self, web: socket.socket, options: dict[str, Any]) -> Part:
        """Its configuration is written and tried first: what nginx has against it is told here, not in a log."""
        folder = Path(settings.DATA_DIR) / "nginx"
        status_port = free_port(STATUS_PORT)
        file = folder / "nginx.conf"
        try:
            text = nginx.main_file(
                site_of(web, options, folder),
                folder=folder,
                status_port=status_port,
                workers=os.cpu_count() or 1,
                mime_types=nginx.mime_types_of(self.nginx),
                as_user="root" if os.geteuid() == 0 else "",
            )
        except Unusable as error:
            raise CommandError(str(error)) from error
        nginx.write(file=file, text=text)
        complaint = nginx.complaint(self.nginx, folder=folder, file=file)
        if complaint:
            raise CommandError(f"nginx does not take its configuration:\n{complaint}")
        url = f"http://127.0.0.1:{status_port}"
        command = nginx.command(self.nginx, folder=folder, file=file)
        return Part("nginx", command, url, f"{url}/nginx-status", stop_signal=signal.SIGQUIT)

    def screen(self, web: socket.socket, fresh: dict[str, str | None], options: dict[str, Any]) -> str:
        self_made = not options["certificate"]
        trusted = by_hand.trusting(tls_folder() / certificates.SELF_MADE) if self_made else {}
        file = by_hand.write(self.environment(options) | {"DATA_DIR": str(settings.DATA_DIR)} | trusted)
        return screen(public_url(options), fresh, self_made=self_made, environment_file=file)


def names(options: dict[str, Any]) -> tuple[str, ...]:
    """The site's own names; wildcards are no names."""
    given = options["name"] or [host for host in settings.ALLOWED_HOSTS if "*" not in host and host[:1] not in ".["]
    return tuple(given or LOOPBACK)


def secret_key() -> str:
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:
        return read_or_make_secret(Path(settings.DATA_DIR) / "secret_key")


def celery_parts() -> list[Part]:
    """Ingests have a worker of their own, so that alerts do not wait behind them."""
    celery = (sys.executable, "-m", "celery", "-A", "ragsite.celery")
    pool = ("--pool", "threads", "--loglevel", "INFO", "--concurrency")
    schedule = str(Path(settings.RUN_DIR) / "beat-schedule")
    return [
        Part(
            "worker",
            (*celery, "worker", *pool, "2", "--hostname", "worker@%h", "--queues", settings.CELERY_TASK_DEFAULT_QUEUE),
        ),
        Part("ingests", (*celery, "worker", *pool, "1", "--hostname", "ingests@%h", "--queues", settings.INGEST_QUEUE)),
        Part("beat", (*celery, "beat", "--pidfile", "", "--loglevel", "INFO", "--schedule", schedule)),
    ]


def site_of(web: socket.socket, options: dict[str, Any], folder: Path) -> Site:
    if options["certificate"]:
        certificate, key = options["certificate"].resolve(), options["key"].resolve()
    else:
        certificate, key = certificates.self_made(folder=tls_folder(), names=names(options))
    return Site(
        names=names(options),
        upstreams=(f"127.0.0.1:{web.getsockname()[1]}",),
        certificate=str(certificate),
        key=str(key),
        static_root=str(settings.COLLECTED_DIR),
        upload_mb=settings.INGEST_MAX_UPLOAD_MB,
        request_timeout_s=settings.REQUEST_TIMEOUT_S,
        sub_path=settings.FORCE_SCRIPT_NAME or "",
        https_port=str(options["port"]),
        http_port=str(options["http_port"] or ""),
        access_log=str(folder / "access.log"),
    )


def tls_folder() -> Path:
    return Path(settings.DATA_DIR) / "nginx" / "tls"


def public_url(options: dict[str, Any]) -> str:
    port = "" if options["port"] == 443 else f":{options['port']}"
    return f"https://{names(options)[0]}{port}{settings.FORCE_SCRIPT_NAME or ''}"


def screen(url: str, fresh: dict[str, str | None], *, self_made: bool, environment_file: Path) -> str:
    password = fresh["password"] or "as at the first start (forgotten: manage.py changepassword admin)"
    lines = [
        "",
        "ragsite is running in service mode.  Stop it with Ctrl-C.",
        "",
        f"  Ask a question   {url}/",
        f"  Admin            {url}/admin/     user: admin   password: {password}",
        f"  API reference    {url}/api/docs",
        "",
    ]
    if fresh["api_key"]:
        lines += [f"  API key          {fresh['api_key']}", ""]
        lines += ["  The password and the key are shown this once; only hashes of them are kept.", ""]
    if self_made:
        lines += [
            "  The certificate was made here and no browser trusts it: curl --insecure, or --certificate and --key.",
            "",
        ]
    lines += ["  Commands beside it, with its settings:", f"    export ENV_FILE={environment_file}"]
    lines += ["    .venv/bin/python manage.py ingest FOLDER --corpus NAME", ""]
    return "\n".join([*lines, f"  Logs: {Path(settings.DATA_DIR) / 'logs'}", ""])
