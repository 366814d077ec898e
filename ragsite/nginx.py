"""The configuration of nginx, from the settings and the templates in `deploy/nginx`: what is tested is what is deployed."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

TEMPLATES = Path(__file__).resolve().parent.parent / "deploy" / "nginx"
HOLE = re.compile(r"<<(\w+)>>")
BINARY_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/opt/homebrew/bin"
MARGIN_S = 15
"""by which the proxy is more patient than the site"""
SHORTEST_READ_S = 60
FORM_MB = 1
"""what a form adds to the files that it sends"""
SAFE = re.compile(r"[\w./:*\[\]-]+")


class NginxMissing(Exception):
    """There is no nginx on this machine; the message says how to get it."""


class Unusable(ValueError):
    """A value that would not mean in the configuration what it says."""


@dataclass(frozen=True, slots=True)
class Site:
    """`upstreams`: where web processes listen, `unix:/run/ragsite/web.sock` or `host:port`. `sub_path`: empty, or `/ragsite`.

    `outer_proxies`: addresses and networks of the proxies in front of nginx. Ports may carry an address: `127.0.0.1:8443`.
    """

    names: tuple[str, ...]
    upstreams: tuple[str, ...]
    certificate: str
    key: str
    static_root: str
    upload_mb: int
    request_timeout_s: float
    sub_path: str = ""
    outer_proxies: tuple[str, ...] = ()
    https_port: str = "443"
    http_port: str = "80"
    access_log: str = "/var/log/nginx/ragsite.log"


def filled(name: str, **values: object) -> str:
    """A template with all its holes filled; raises KeyError where a value is missing."""
    text = (TEMPLATES / f"{name}.conf.template").read_text("utf-8")
    return HOLE.sub(lambda hole: str(values[hole.group(1)]), text).rstrip() + "\n"


def http_part(site: Site) -> str:
    """What stands outside all servers: where the web processes are, and whom to believe."""
    checked(site)
    upstreams = "\n".join(f"    server {upstream};" for upstream in site.upstreams)
    return filled("http", upstreams=upstreams, outer_proxies=outer_proxies_part(site)).rstrip() + "\n"


def outer_proxies_part(site: Site) -> str:
    if not site.outer_proxies:
        return ""
    return filled(
        "outer_proxies",
        set_real_ip_from="\n".join(f"set_real_ip_from {network};" for network in site.outer_proxies),
        told="\n".join(f"    {network} 1;" for network in site.outer_proxies),
    )


def locations(site: Site) -> str:
    """The site's part of a server: all of it where the site has a sub-path of somebody else's name."""
    checked(site)
    return filled(
        "locations",
        sub_path=site.sub_path,
        scheme="$ragsite_scheme" if site.outer_proxies else "$scheme",
        read_timeout_s=max(SHORTEST_READ_S, round(site.request_timeout_s) + MARGIN_S),
        upload_mb=site.upload_mb + FORM_MB,
        static_root=site.static_root.rstrip("/"),
    )


def whole_site(site: Site) -> str:
    """`http_part` and the servers, for a site with a name of its own (with a sub-path: the name's root goes there)."""
    root = f"location = / {{\n    return 302 {site.sub_path}/;\n}}\n" if site.sub_path else ""
    server = filled(
        "server",
        names=" ".join(site.names),
        https_port=site.https_port,
        https_port_v6=also_on_v6(site.https_port, " ssl http2"),
        access_log=site.access_log,
        certificate=site.certificate,
        key=site.key,
        locations=indent(root + locations(site), "    ").rstrip(),
    )
    return "\n".join([http_part(site), server]) + (redirect(site) if site.http_port else "")


def redirect(site: Site) -> str:
    port = site.https_port.rpartition(":")[2]
    return "\n" + filled(
        "redirect",
        names=" ".join(site.names),
        http_port=site.http_port,
        http_port_v6=also_on_v6(site.http_port, ""),
        https_suffix="" if port == "443" else f":{port}",
    )


def also_on_v6(port: str, options: str) -> str:
    """A bare port is listened to by both versions of the protocol."""
    return f"\n    listen [::]:{port}{options};" if port.isdecimal() else ""


def main_file(site: Site, *, folder: Path, status_port: int, workers: int, mime_types: str, as_user: str = "") -> str:
    """A whole configuration for an nginx of our own. `as_user`: who its workers are, where it is started by root."""
    return filled(
        "main",
        user=f"user {as_user};\n" if as_user else "",
        folder=folder,
        workers=workers,
        status_port=status_port,
        mime_types=mime_types,
        site=indent(whole_site(site), "    ").rstrip(),
    )


def checked(site: Site) -> None:
    """Values are written into the file as they are: none may end its directive. Raises Unusable."""
    paths = (site.certificate, site.key, site.static_root, site.access_log, site.sub_path)
    ports = (site.https_port, site.http_port)
    for value in (*site.names, *site.upstreams, *site.outer_proxies, *filter(None, paths + ports)):
        if not SAFE.fullmatch(value):
            raise Unusable(
                f"{value!r} cannot stand in a configuration of nginx: use letters, digits and ./:*[]_- alone"
            )


def binary() -> str:
    """The nginx of this machine; it often lies where only root looks. Raises NginxMissing."""
    found = shutil.which("nginx") or shutil.which("nginx", path=BINARY_FOLDERS)
    if found is None:
        raise NginxMissing("there is no nginx on this machine: apt-get install nginx-light (or your system's package)")
    return found


def mime_types_of(nginx: str) -> str:
    """The list of types that nginx brings along, which lies beside its own configuration."""
    told = subprocess.run([nginx, "-V"], capture_output=True, text=True, check=True).stderr
    own = re.search(r"--conf-path=(\S+)", told)
    return str(Path(own.group(1) if own else "/etc/nginx/nginx.conf").with_name("mime.types"))


def command(nginx: str, *, folder: Path, file: Path) -> tuple[str, ...]:
    """Runs in the foreground; the file comes last, by which a supervisor knows the process again."""
    return (nginx, "-e", "stderr", "-p", str(folder), "-g", "daemon off;", "-c", str(file))


def write(*, file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def complaint(nginx: str, *, folder: Path, file: Path) -> str:
    """What nginx says against a configuration; empty where it takes it."""
    done = subprocess.run(
        [nginx, "-e", "stderr", "-p", str(folder), "-t", "-q", "-c", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip() if done.returncode else ""
