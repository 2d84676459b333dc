"""The page fixture itself: what it must not let through."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page, ViewportSize

from tests.browser.conftest import PHONE

pytestmark = pytest.mark.browser


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "favicon.ico").write_bytes(b"")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path)))
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("viewport", [PHONE], indirect=True)
def test_a_quiet_page_has_no_complaints(
    page: Page, address: str, tmp_path: Path, viewport: ViewportSize, complaints: list[str]
) -> None:
    (tmp_path / "index.html").write_text("<title>Quiet</title>")
    page.goto(address)
    assert (page.title(), page.evaluate("window.innerWidth"), complaints) == ("Quiet", 390, [])


def test_script_errors_and_requests_to_other_machines_are_complaints(
    page: Page, address: str, tmp_path: Path, complaints: list[str]
) -> None:
    (tmp_path / "index.html").write_text(
        "<img src='https://pictures.example/bear.png'><img src='http://192.0.2.1/bear.png'>"
        "<script>console.error('lost'); throw new Error('broken')</script>"
    )
    page.goto(address)
    page.wait_for_load_state("load")
    text = "\n".join(complaints)
    for expected in ("console: lost", "script error: broken", "https://pictures.example/bear.png", "http://192.0.2.1"):
        assert expected in text
    assert text.count("ERR_NAME_NOT_RESOLVED") == 2, "a request left this machine"
    complaints.clear()
