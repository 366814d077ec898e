"""A page of headless Chromium that fails the test over what it complains of, or asks of others."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PATIENCE_MS = 60_000


def program(name: str, package: str) -> str:
    """The path of a program; without it the test is skipped, and in CI it fails."""
    found = shutil.which(name)
    if found is None:
        missing = f"{name} is not installed: apt-get install {package}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@contextmanager
def watched_page() -> Iterator[Any]:
    """Errors of scripts, dialogs, violations of the Content-Security-Policy and requests to other hosts fail the test.

    While it is open an event loop runs in this thread, where Django asks no database: rows have to be made before.
    """
    chromium = program("chromium", "chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("playwright is missing") if os.environ.get("CI") else pytest.skip("make setup installs playwright")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)

        def complain(text: str) -> None:
            complaints.append(f"{page.url}: {text}")

        def asked(request: Any) -> None:
            if not request.url.startswith(("http://localhost:", "data:", "blob:http://localhost:")):
                complain(f"asks {request.url}")

        def dialog(opened: Any) -> None:
            complain(f"a dialog says {opened.message}")
            opened.dismiss()

        page.on("pageerror", lambda error: complain(str(error)))
        page.on("console", lambda told: complain(told.text) if "Content Security Policy" in told.text else None)
        page.on("request", asked)
        page.on("dialog", dialog)
        yield page
        browser.close()
    assert not complaints, "\n".join(complaints)
