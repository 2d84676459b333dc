"""The Chromium that the browser tests drive: the one that is here, else installed. And onnxruntime-web, fetched by npm.

    python tests/browser/install.py

It uses the environment variable CHROME, an installed Chromium or Chrome, or one that Playwright has downloaded before.
As root on Debian it installs ``chromium-headless-shell`` beside them: a page takes half the processor time in it. Where
there is no browser elsewhere, it is Playwright's own download.
The page of a static Space is tried with the files of onnxruntime-web; without npm those tests are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELL = "chromium-headless-shell"

MISSING = "There is no Chromium here. 'make test' installs one, or set CHROME to the path of a Chromium or Chrome."


def find_chromium() -> Path | None:
    """The browser to drive, or None. CHROME goes first, and is None where it points to nothing."""
    from pipeline.deploy.trial import find_browser

    return find_browser() or (None if os.environ.get("CHROME") else _playwrights_own())


def main() -> int:
    """Say which browser is used, after installing one where there is none. 1 where that failed."""
    if os.environ.get("CHROME"):
        if find_chromium() is None:
            print(f"CHROME is {os.environ['CHROME']}, and there is no program of that name. Correct it or unset it.")
            return 1
    elif shutil.which(SHELL) is None:
        _install()
    browser = find_chromium()
    print(MISSING if browser is None else f"Browser for the tests: {browser}", flush=True)
    _fetch_web_runtime()
    return 0 if browser else 1


def _fetch_web_runtime() -> None:
    from pipeline.deploy.space import is_here, web_runtime
    from pipeline.errors import ExportError

    if not is_here() and shutil.which("npm") is None and _can_apt():
        print("Installing Debian's npm (apt-get, about 150 MB) ...", flush=True)
        _apt("npm")
    try:
        print(f"onnxruntime-web for the tests: {web_runtime()}", flush=True)
    except ExportError as error:
        print(error, flush=True)


def _install() -> None:
    """The small browser where apt-get has it; where it doesn't, a large one if there is none."""
    if _can_apt():
        print("Installing Debian's headless Chromium (apt-get, about 100 MB) ...", flush=True)
        _apt(SHELL, "fonts-dejavu-core")
        if find_chromium() is None:  # an older Debian
            _apt("chromium", "fonts-dejavu-core")
    elif find_chromium() is None:
        print("Downloading Playwright's Chromium (about 150 MB) ...", flush=True)
        with_libraries = ["--with-deps"] if sys.platform == "linux" and _is_root() else []
        subprocess.run([sys.executable, "-m", "playwright", "install", *with_libraries, "chromium"], check=False)


def _can_apt() -> bool:
    return _is_debian() and _is_root() and bool(shutil.which("apt-get"))


def _apt(*packages: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
    subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )


def _is_debian() -> bool:
    release = Path("/etc/os-release")
    return release.exists() and "ID=debian" in release.read_text().split()


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _playwrights_own() -> Path | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.exists() else None


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
