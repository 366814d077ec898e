"""The drill's page: what it does, a button, and a table that grows while the drill runs in a process of its own."""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, cast

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods

from rag.drill import DrillRefused, Result, refuse_to_break
from rag.failure_table import GROUPS
from rag.models import Outage
from ragsite.admin import badge, note, outcome_badge

TABLE = "admin/drill_table.html"
HERE = "<!-- the drill goes on here -->"
PERMISSION = "rag.run_drill"
NOT_YOURS = f"You lack the permission {PERMISSION}."
BEAT_S = 1.0
STOP_S = 20.0


@require_http_methods(["GET", "POST"])
@xframe_options_sameorigin
def page(request: HttpRequest) -> HttpResponseBase:
    """A POST answers with a table, for the frame on the page, that is complete when the drill is."""
    may_run = request.user.has_perm(PERMISSION)
    if not may_run and (request.method == "POST" or not request.user.has_perm("rag.view_outage")):
        raise PermissionDenied
    refusal = reason_against()
    if request.method == "GET":
        context = {"title": "Drill", "groups": GROUPS, "refusal": refusal or ("" if may_run else NOT_YOURS)}
        return render(request, "admin/drill.html", admin.site.each_context(request) | context)
    if refusal:
        return render(request, TABLE, {"refusal": refusal}, status=409)
    name = request.POST.get("name", "")
    note(request, f"Drill begun: {name or 'all cases'}", on=Outage)
    whole = render_to_string(TABLE, {"here": SafeString(HERE)})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(drilled(whole, name), headers=headers)


def reason_against() -> str:
    """Why no drill can begin now, or nothing."""
    try:
        refuse_to_break()
    except DrillRefused as refusal:
        return str(refusal)
    return ""


def drilled(whole: str, name: str) -> Iterator[str]:
    """The table's page in pieces: up to the first row, the rows as they happen, how it ended, the rest.

    A client that goes away is noticed by the next piece, at the latest after BEAT_S; that ends the drill.
    """
    head, middle, tail = whole.split(HERE)
    yield head
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command(name), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        try:
            for line in lines(cast(IO[bytes], process.stdout)):
                yield row(Result(**json.loads(line))) if line else "\n"
            process.wait()
        finally:
            stop(process)
        yield middle + ending(process.returncode, errors) + tail


def command(name: str) -> list[str]:
    drill = [sys.executable, str(settings.BASE_DIR / "manage.py"), "drill", "--lines", "--no-color"]
    return [*drill, "--", name] if name else drill


def lines(output: IO[bytes]) -> Iterator[str]:
    """The lines that a process writes, and an empty one for every BEAT_S of silence."""
    unfinished = b""
    while True:
        if not select.select([output], [], [], BEAT_S)[0]:
            yield ""
            continue
        data = os.read(output.fileno(), 65_536)
        if not data:
            return
        *whole, unfinished = (unfinished + data).split(b"\n")
        yield from (line.decode() for line in whole)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the drill if it still runs, giving it the time to put everything back."""
    with process:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def row(result: Result) -> SafeString:
    verdict = badge("ok") if result.passed else outcome_badge("fail")
    return format_html(
        "<tr><td><code>{}</code> <span class='hint'>{}</span></td><td>{}</td><td>{}</td><td>{}</td>"
        "<td class='seconds'>{} s</td><td>{} {}</td></tr>\n",
        result.case,
        result.broken,
        result.saw,
        result.status,
        format_html_join(" ", "<code>{}</code>", ((how,) for how in result.degraded)) or "-",
        f"{result.seconds:.2f}",
        verdict,
        result.why,
    )


def ending(returncode: int, errors: IO[bytes]) -> SafeString:
    if returncode == 0:
        return format_html("<p>{} All pass.</p>", badge("done"))
    if returncode == 1:
        return format_html("<p>{} Not every case passed.</p>", badge("failed"))
    errors.seek(0)
    told = errors.read().decode(errors="replace").strip().splitlines() or ["no reason given"]
    return format_html("<p>{} The drill ended early: {}</p>", badge("failed"), told[-1])
