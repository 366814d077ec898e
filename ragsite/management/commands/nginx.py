"""`manage.py nginx --name docs.example.org ...`: the configuration of nginx that fits the settings."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ragsite import nginx
from ragsite.nginx import Site, Unusable

SOCKET = "unix:/run/ragsite/web.sock"
PARTS = {"all": nginx.whole_site, "http": nginx.http_part, "locations": nginx.locations}


class Command(BaseCommand):
    help = "Print the configuration of nginx for this site, as the settings want it. See docs/operations.md."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", action="append", help="of the site, may be repeated; default: ALLOWED_HOSTS")
        where = f"where a web process listens, host:port or unix:PATH; repeat for more hosts. Default: {SOCKET}"
        parser.add_argument("--upstream", action="append", help=where)
        parser.add_argument("--certificate", help="default: where certbot puts it")
        parser.add_argument("--key", help="likewise")
        parser.add_argument("--static-root", default=str(settings.COLLECTED_DIR))
        parser.add_argument(
            "--outer-proxy", action="append", default=[], help="address or network of a proxy before nginx"
        )
        parser.add_argument(
            "--part",
            choices=sorted(PARTS),
            default="all",
            help="http and locations: for a site below a path of a server that is there already",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        names = tuple(options["name"] or settings.ALLOWED_HOSTS)
        if not names:
            raise CommandError("say by which name the site is reached: --name docs.example.org")
        letsencrypt = f"/etc/letsencrypt/live/{names[0]}"
        site = Site(
            names=names,
            upstreams=tuple(options["upstream"] or [SOCKET]),
            certificate=options["certificate"] or f"{letsencrypt}/fullchain.pem",
            key=options["key"] or f"{letsencrypt}/privkey.pem",
            static_root=options["static_root"],
            upload_mb=settings.INGEST_MAX_UPLOAD_MB,
            request_timeout_s=settings.REQUEST_TIMEOUT_S,
            sub_path=settings.FORCE_SCRIPT_NAME or "",
            outer_proxies=tuple(options["outer_proxy"]),
        )
        try:
            self.stdout.write(PARTS[options["part"]](site), ending="")
        except Unusable as error:
            raise CommandError(str(error)) from error
