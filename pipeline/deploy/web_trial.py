"""A static Space, asked in a real browser on this machine about its example pictures; the answers are compared."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from pipeline.deploy.golden import Agreement, Golden, agreement
from pipeline.deploy.space import GOLDEN, PAGE
from pipeline.errors import DeployError
from pipeline.predict import read_info

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
APPLICATIONS = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)
# A browser's own decoder may round a picture otherwise than Pillow does.
TOLERANCE = 2e-2
SECONDS = 300
SWITCHES = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--virtual-time-budget=100000000",
    "--dump-dom",
)
RESULT = re.compile(r'<script type="application/json" id="result">(.*?)</script>', re.DOTALL)


def find_browser() -> Path | None:
    """A Chromium or Chrome on this machine, or None. The environment variable CHROME goes first, and it is None where
    that points to nothing.
    """
    if chosen := os.environ.get("CHROME"):
        found = shutil.which(chosen)
        return Path(found) if found else None
    on_path = (Path(found) for found in map(shutil.which, NAMES) if found)
    return next(on_path, None) or next((path for path in APPLICATIONS if path.exists()), None)


def try_page(folder: Path, browser: Path | None = None) -> Agreement:
    """How the page's answers about its example pictures agree with those of examples/golden.json. Raises DeployError
    where there is no browser or it gets no answer.
    """
    classes, expected = _expected(folder)
    said = ask_page(folder, browser)
    refused = [answer for answer in said if "probabilities" not in answer]
    if refused:
        raise DeployError(f"The page cannot read {refused[0]['file']}: {refused[0]['reason']}")
    answers = [dict(zip(classes, answer["probabilities"], strict=True)) for answer in said]
    return agreement([Golden(path, row) for path, row in expected], answers, TOLERANCE)


def _expected(folder: Path) -> tuple[list[str], list[tuple[Path, Mapping[str, float]]]]:
    """The classes, and what examples/golden.json says of each picture that it names."""
    try:
        classes: list[str] = read_info(folder)["label_names"]
        rows = json.loads((folder / "examples" / GOLDEN).read_text(encoding="utf-8"))
        return classes, [
            (folder / "examples" / row["file"], dict(zip(classes, row["probabilities"], strict=True))) for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeployError(f"{folder} is no static Space as it was exported: {error}. Export it again.") from error


def ask_page(folder: Path, browser: Path | None = None) -> list[dict[str, Any]]:
    """What the page says of each picture that examples/golden.json names, in a headless browser: file, label, and
    probabilities and distance, or a reason. Raises DeployError.
    """
    browser = browser or find_browser()
    if browser is None:
        raise DeployError(
            "There is no Chromium or Chrome here to try the page in. Install one, or set CHROME to the path of one."
        )
    with tempfile.TemporaryDirectory(prefix="winnow-browser-") as profile, served(folder) as url:
        as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [str(browser), *SWITCHES, *as_root, f"--user-data-dir={profile}", f"{url}/{PAGE}?test"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise DeployError(f"The browser {browser} could not show the page ({type(error).__name__}).") from error
    found = RESULT.search(done.stdout.decode(errors="replace"))
    try:
        result = json.loads(found[1]) if found else {}
    except ValueError:
        result = {}
    if "trouble" in result:
        raise DeployError(f"The page does not answer: {result['trouble']}")
    if "answers" not in result:
        raise DeployError(f"The page gave no answer in {browser.name}. Try a newer Chromium or Chrome.")
    answers: list[dict[str, Any]] = result["answers"]
    return answers


class _Files(SimpleHTTPRequestHandler):
    extensions_map: dict[str, str] = {  # noqa: RUF012 - the name is SimpleHTTPRequestHandler's
        **SimpleHTTPRequestHandler.extensions_map,
        ".wasm": "application/wasm",
        ".mjs": "text/javascript",
    }

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder on a web server that only this machine reaches; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
