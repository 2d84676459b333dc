"""Load the app's page many times, each time through all tabs, and print what the server holds before and after.

    PYTHONPATH=. python benchmarks/soak.py [--loads 300] [--workspace DIR]

Nobody to compare with: the question is whether an app that is left open grows without end. The pages are those of one
Chromium, one after the other, each closed before the next. RSS, open files and threads are
those of the process that serves.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from tests.browser.install import find_chromium

ROOT = Path(__file__).resolve().parents[1]
TABS = ("verify", "train", "review", "clean", "predict", "deploy", "models")
START_SECONDS, SETTLE_SECONDS, QUIET_SECONDS = 300.0, 5.0, 0.3
PATIENCE = 120_000  # milliseconds


@contextmanager
def app(workspace: Path) -> Iterator[tuple[str, psutil.Process]]:
    """(address, process) of the app on a workspace."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "app.py", "--workspace", str(workspace), "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
    try:
        while True:
            try:
                with urllib.request.urlopen(url, timeout=20) as answer:
                    answer.read()
                break
            except (urllib.error.URLError, TimeoutError):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
        yield url, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(60)


def line(loads: int, server: psutil.Process, first: float) -> float:
    """Print what the server holds; returns its RSS in MiB. ``first``: that after the first load."""
    held = float(server.memory_info().rss / 2**20)
    grown = f"{(held - first) / (loads - 1):10.2f}" if first and loads > 1 else f"{'':10}"
    print(f"{loads:6}  {held:8.0f}  {server.num_fds():6}  {server.num_threads():8}  {grown}", flush=True)
    return held


def visit(page: Page, url: str) -> None:
    """Open the app and go through all tabs; each has what it asks for when the next is opened."""
    asked = [time.monotonic()]
    page.on("request", lambda _: asked.append(time.monotonic()))
    page.goto(url, timeout=PATIENCE)
    for tab in TABS:
        page.locator(f"#tab-{tab}-button").click(timeout=PATIENCE)
        asked.append(time.monotonic())
        while time.monotonic() < asked[-1] + QUIET_SECONDS:  # one connection of Gradio's stays open: never all idle
            page.wait_for_timeout(1000 * QUIET_SECONDS / 2)


def main() -> None:
    """Measure one app."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--loads", type=int, default=300)
    arguments.add_argument("--workspace", type=Path, help="an own one (else one with the starter set)")
    args = arguments.parse_args()
    print(f"{'loads':>6}  {'RSS MiB':>8}  {'files':>6}  {'threads':>8}  {'MiB a load':>10}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        with app(args.workspace or Path(folder) / "starter") as (url, server):
            first = line(0, server, 0.0)
            for load in range(1, args.loads + 1):
                with browser.new_page() as page:
                    visit(page, url)
                if load == 1 or load % max(1, args.loads // 10) == 0:
                    time.sleep(SETTLE_SECONDS)
                    held = line(load, server, first if load > 1 else 0.0)
                    first = held if load == 1 else first
        browser.close()


if __name__ == "__main__":
    main()
