"""A page in Chromium that fails its test on any console error and on any request to another machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, expect, sync_playwright

from tests.browser.install import MISSING, find_chromium

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing but this machine can be found, whoever asks: a page, or Chromium itself.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
HERE = ("127.0.0.1", "localhost", None)
# What a page is to show is waited for so long (milliseconds): the 5 s of Playwright are short beside other work.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The browser to drive."""
    found = find_chromium()
    if found is None:
        pytest.fail(MISSING, pytrace=False)
    return found


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    """Chromium, headless. One a test file: while it runs, no other test in this thread can run an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, headless=True, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def viewport(request: pytest.FixtureRequest) -> ViewportSize:
    """The window's size: ``@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], indirect=True)``."""
    size: ViewportSize = getattr(request, "param", DESKTOP)
    return size


@pytest.fixture
def complaints() -> list[str]:
    """Console errors and foreign requests of the page so far. A test that provokes some clears them."""
    return []


@pytest.fixture
def page(browser: Browser, viewport: ViewportSize, complaints: list[str]) -> Iterator[Page]:
    """A page of its own, without memory of other tests; it must end without complaints."""
    context = browser.new_context(viewport=viewport, locale="en-GB", permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    _listen(page, complaints)
    yield page
    found = list(complaints)  # before closing: by now the server may be gone, which is no fault of the page
    context.close()
    if found:
        pytest.fail("The page complained:\n" + "\n".join(found), pytrace=False)


def _listen(page: Page, complaints: list[str]) -> None:
    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    def on_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in HERE:
            complaints.append(f"request to another machine: {request.url}")

    page.on("console", on_console)
    page.on("request", on_request)
    page.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
