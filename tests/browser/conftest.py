"""A page in Chromium that fails its test on any console error and on any request to another machine; and apps for it.

The window and the app are those of the module: a page that was loaded before loads in half the time. Each test has the
window empty, without cookies and storage, and the app on a workspace of its own. What is about isolation makes contexts
itself, with ``browser``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from pipeline.tabs.door.serve import Door, launch_settings
from pipeline.tabs.page.shared import Shared, draw_shared
from pipeline.tabs.page.whose import OnePerson, Whose
from pipeline.workspace.workspace import Workspace
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


# --- the window ------------------------------------------------------------------------------------------------------


class Window:
    """The page that the tests of a module take in turn."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.page: Page | None = None

    def take(self, viewport: ViewportSize) -> Page:
        """The page, empty."""
        if self.page is None:
            permissions = ["clipboard-read", "clipboard-write"]
            context = self.browser.new_context(viewport=viewport, locale="en-GB", permissions=permissions)
            self.page = context.new_page()
        self.page.set_viewport_size(viewport)
        return self.page

    def give_back(self) -> None:
        """Nothing of this test is left to the next one."""
        assert self.page is not None
        context = self.page.context
        try:
            self.page.unroute_all()
            if self.page.url != "about:blank":
                self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
                self.page.goto("about:blank")
            context.clear_cookies()
            for other in context.pages:
                if other is not self.page:
                    other.close()
        except Error:  # it is in no state to be cleaned
            context.close()
            self.page = None


@pytest.fixture(scope="module")
def window(browser: Browser) -> Window:
    """The page that the tests of a module take in turn; a test asks for ``page``."""
    return Window(browser)


@pytest.fixture(scope="module")
def kept(browser: Browser) -> Window:
    """Another window, whose page is kept from test to test; a test asks for ``still``."""
    return Window(browser)


@pytest.fixture
def page(window: Window, viewport: ViewportSize, complaints: list[str]) -> Iterator[Page]:
    """A page without memory of other tests; it must end without complaints."""
    page = window.take(viewport)
    with overheard(page, complaints):
        yield page
        found = list(complaints)  # before it is emptied: by now the server may be gone, which is no fault of the page
    window.give_back()
    _judge(found)


@pytest.fixture
def still(kept: Window, viewport: ViewportSize, complaints: list[str]) -> Iterator[Page]:
    """A page that stays as the test before left it, for tests that only look; blank for the first one of a module."""
    page = kept.take(viewport)
    with overheard(page, complaints):
        yield page
    _judge(complaints)


def _judge(complaints: list[str]) -> None:
    if complaints:
        pytest.fail("The page complained:\n" + "\n".join(complaints), pytrace=False)


@contextmanager
def overheard(page: Page, complaints: list[str]) -> Iterator[None]:
    """What the page complains of meanwhile goes to ``complaints``."""

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    def on_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in HERE:
            complaints.append(f"request to another machine: {request.url}")

    def on_error(error: Error) -> None:
        complaints.append(f"script error: {error}")

    page.on("console", on_console)
    page.on("request", on_request)
    page.on("pageerror", on_error)
    try:
        yield
    finally:
        page.remove_listener("console", on_console)
        page.remove_listener("request", on_request)
        page.remove_listener("pageerror", on_error)


# --- apps ------------------------------------------------------------------------------------------------------------


class Lent:
    """Everybody is the one person to whom the app is lent just now: see :class:`OnePerson`."""

    limits = None

    def __init__(self, to: OnePerson) -> None:
        self.to = to

    def first(self) -> Path:
        return self.to.first()

    def uploads(self) -> Path:
        return self.to.uploads()

    def received(self) -> Path:
        return self.to.received()

    def outgoing(self) -> Path:
        return self.to.outgoing()

    def serve(self, workspace: Workspace) -> None:
        self.to.serve(workspace)


class Apps:
    """Apps that serve one workspace after the other, each made once."""

    def __init__(self) -> None:
        self.running: dict[object, tuple[Lent, str]] = {}
        self.demos: list[gr.Blocks] = []

    def on(self, root: Path, draw: Callable[[Whose], gr.Blocks]) -> str:
        """The address of the app that ``draw`` makes, with ``root`` as its workspace from now on."""
        one = OnePerson(Workspace.create(root).root)
        key = (draw, root.name)  # the name is drawn with the app
        if key not in self.running:
            lent = Lent(one)
            self.running[key] = (lent, self.another(draw(lent)))
        lent, address = self.running[key]
        lent.to = one
        return address

    def another(self, demo: gr.Blocks) -> str:
        """Start an app; its address."""
        self.demos.append(demo)
        demo.queue(default_concurrency_limit=8, max_size=64)
        settings = launch_settings(Door("127.0.0.1"))
        return str(demo.launch(server_name="127.0.0.1", prevent_thread_lock=True, **settings)[1])


@pytest.fixture(scope="module")
def apps() -> Iterator[Apps]:
    """The apps of a module."""
    made = Apps()
    yield made
    for demo in made.demos:
        demo.close(verbose=False)


Serve = Callable[[Path], str]


@pytest.fixture
def serve(apps: Apps, request: pytest.FixtureRequest) -> Serve:
    """The address of the module's ``APP`` (what ``tabs`` gives, or the whole) on a workspace."""
    return lambda root: apps.on(root, request.module.APP)


def tabs(*builds: tuple[str, Callable[[gr.Tab, Shared], None] | None]) -> Callable[[Whose], gr.Blocks]:
    """What draws an app of these tabs alone; where nothing builds one, it is empty."""

    def draw(whose: Whose) -> gr.Blocks:
        demo: gr.Blocks = gr.Blocks(analytics_enabled=False)
        with demo:
            shared = draw_shared(whose, True)
            with shared.tabs:
                for name, build in builds:
                    with gr.Tab(name, id=name.lower(), elem_id=f"tab-{name.lower()}") as tab:
                        if build is not None:
                            build(tab, shared)
            shared.wire(demo)
        return demo

    return draw


def smaller(page: Page, size: int) -> None:
    """Set the size of pictures in the Train tab, whose options are open, and wait until the command line there says so.
    What the fields of a group hold is drawn a moment after the group was opened.
    """
    page.locator("#train-options .w-group-of-fields .label-wrap").first.click()
    expect(page.locator("#train-image-size input")).to_be_visible()
    page.wait_for_timeout(500)
    page.locator("#train-image-size input").fill(str(size))
    page.keyboard.press("Tab")
    command = page.locator("#train-command textarea, #train-command input")
    expect(command).to_have_value(re.compile(f"--image-size {size}\\b"), timeout=60_000)
