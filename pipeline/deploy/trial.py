"""Test this Space: asked about golden pictures, whose answers are compared with those of the model in its folder.

On this machine it is started in a fresh environment from its own requirements, or, where it is static, opened in a real
browser; where it is online it is asked there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import quote

import httpx2
import numpy as np
import psutil
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from PIL import Image

from pipeline.deploy.space import GOLDEN, PAGE, SpaceFolder, read_space
from pipeline.errors import DeployError, ExportError, UsageError
from pipeline.jobs.job import finished
from pipeline.jobs.stages import StageName
from pipeline.machine import python_in
from pipeline.predict import ONNX, ORIENTATION_TAG, file_sha256, load, read_info
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage
from pipeline.workspace.workspace import Workspace

# Of a probability: the packages of the Space may be other versions than those here; elsewhere the machine is another.
TOLERANCE, TOLERANCE_ELSEWHERE = 1e-3, 1e-2
# A browser's own decoder may round a picture otherwise than Pillow does.
PAGE_TOLERANCE = 2e-2
INSTALL_SECONDS, START_SECONDS, ANSWER_SECONDS, PAGE_SECONDS = 1800, 300, 120, 300
OFFERED = "/predict"
LOG_LINES = 15
POLL_SECONDS = 1.0
MOST_SAID = 16 << 20
QUARTER_TURN = 6
SEED = 2026
# The first has no window to open, and takes half the processor time of the others.
BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
)
BROWSER_PLACES = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)
BROWSER_SWITCHES = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",  # without it, or another reason to stay, a headless shell ends at once
)


@dataclass(frozen=True)
class TrialConfig:
    """Which Space folder is tried, and where. Raises UsageError where none is named."""

    folder: str = field(metadata=about("what export --space wrote", flag="SPACE_DIR"))
    url: str = setting(
        "",
        "ask it where it is online: an address, or USER/NAME on Hugging Face",
        means={"": "a fresh environment on this machine"},
    )
    python: str = setting("", "the Python to make the environment with", means={"": "this one"})
    own_token: bool = setting(False, "whether HF_TOKEN may be shown to Hugging Face, for a private Space", flag=None)

    def __post_init__(self) -> None:
        if not self.folder.strip():
            raise UsageError("Say which Space folder to test.")
        check(self)


@dataclass(frozen=True)
class Tried:
    """How a Space did: ``agreed`` with the model in its folder (see :class:`Agreement`), seconds
    from the start of its process to its first page and first answer, the median of the later answers, and its memory in
    MiB (None elsewhere). ``fingerprint``: of the folder that was tried.
    """

    agreed: dict[str, Any]
    where: str
    fingerprint: str
    start_seconds: float | None = None
    first_answer_seconds: float | None = None
    answer_seconds: float | None = None
    memory_mib: float | None = None


def try_space(folder: Path | str, url: str = "", python: str = "", own_token: bool = False) -> Stage[Tried]:
    """Prove a Space before it is published, or look whether it is still fine where it is: in a fresh environment on
    this machine, made with ``python`` ("": this one), or at its ``url``. ``own_token``: HF_TOKEN may be shown there.

    Raises DeployError where it cannot be installed or started, refuses a picture, or answers otherwise than the model
    in the folder does on this machine.

    >>> tried = w.run(w.try_space("fruit-page", url="http://127.0.0.1:8000"))  # without a url: on this machine
    >>> tried.agreed["same_top"], tried.where
    (True, 'http://127.0.0.1:8000')
    """
    space = read_space(folder)
    if space.sdk == "static":
        return (yield from _try_page(space, url))
    with tempfile.TemporaryDirectory(prefix="winnow-trial-") as made:
        scratch = Path(made)
        yield Progress(0, 4, "Asking the model in the folder about golden pictures")
        golden = golden_pictures(space.folder, scratch)
        if url:
            return (yield from _try_elsewhere(space, golden, url, own_token))
        return (yield from _try_here(space, golden, scratch, python or sys.executable))


def trial(_: Workspace, config: TrialConfig) -> Stage[Tried]:
    """:func:`try_space` as a job of a workspace."""
    return try_space(config.folder, config.url, config.python, config.own_token)


def fingerprint(space: SpaceFolder) -> str:
    """64 hex digits that change with any file that would be sent."""
    lines = (f"{file_sha256(space.folder / name)} {name}" for name in sorted(space.sizes))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def last_trial(workspace: Workspace, space: SpaceFolder) -> Mapping[str, Any] | None:
    """What the last job that tested a Space folder here, as the folder is now, found (as :class:`Tried`); None where it
    was not tested, or changed since.
    """
    tried = [
        job.result
        for job in finished(workspace, StageName.TRY_SPACE)
        if Path(job.config["folder"]) == space.folder and not job.config["url"]
    ]
    now = fingerprint(space) if tried else ""
    return next((dict(result) for result in tried if result and result["fingerprint"] == now), None)


@dataclass(frozen=True)
class Golden:
    """A picture file, and the probability of each class that the model in the folder gives on this machine."""

    path: Path
    expected: Mapping[str, float]


@dataclass(frozen=True)
class Agreement:
    """How answers agree with the golden ones: over ``images`` pictures, the largest difference of a probability, on
    which picture it is, and whether the likeliest class is everywhere the same (where two are not as good as equal).
    """

    images: int
    max_difference: float
    worst: str
    same_top: bool


def golden_pictures(folder: Path, scratch: Path) -> list[Golden]:
    """The example pictures of a model folder and three made ones (an upright one, one that EXIF turns, one with
    transparency), which are written into ``scratch``. Raises ExportError where the model cannot be asked.
    """
    pictures = [*sorted((folder / "examples").glob("*.jpg")), *_made(scratch)]
    try:
        answers = load(folder).predict(pictures)
    except (ValueError, OSError) as error:
        raise ExportError(f"The model in {folder} cannot be asked: {error}") from error
    return [Golden(path, answer.probabilities) for path, answer in zip(pictures, answers, strict=True)]


def _made(scratch: Path) -> list[Path]:
    random = np.random.default_rng(SEED)
    turned = Image.Exif()
    turned[ORIENTATION_TAG] = QUARTER_TURN
    files = []
    for name, size, mode, options in (
        ("wide.jpg", (400, 250), "RGB", {"quality": 90}),
        ("turned.jpg", (300, 200), "RGB", {"quality": 90, "exif": turned}),
        ("transparent.png", (210, 280), "RGBA", {}),
    ):
        coarse = random.integers(0, 256, (6, 8, 4), dtype=np.uint8)
        picture = Image.fromarray(coarse, "RGBA").resize(size, Image.Resampling.BICUBIC).convert(mode)
        picture.save(scratch / name, **options)
        files.append(scratch / name)
    return files


def agreement(golden: Sequence[Golden], answers: Sequence[Mapping[str, float]], tolerance: float) -> Agreement:
    """Compare ``answers`` (those of the classes that were given) with the golden ones, picture by picture."""
    worst, largest, same = "", 0.0, True
    for one, answer in zip(golden, answers, strict=True):
        differences = [abs(one.expected.get(name, np.inf) - p) for name, p in answer.items()]
        difference = float(np.max(differences or [np.inf]))
        if not difference <= largest:
            worst, largest = one.path.name, difference
        first, second = sorted(one.expected.values(), reverse=True)[:2] if len(one.expected) > 1 else (1.0, 0.0)
        if first - second > 2 * tolerance and answer:
            same &= max(answer, key=answer.__getitem__) == max(one.expected, key=one.expected.__getitem__)
    return Agreement(len(golden), largest, worst, same)


def _try_here(space: SpaceFolder, golden: Sequence[Golden], scratch: Path, python: str) -> Stage[Tried]:
    copy = scratch / "space"
    for name in space.sizes:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(space.folder / name, copy / name)
    inside = yield from _fresh_environment(python, scratch, copy)
    yield Progress(2, 4, "Starting its app")
    with _started(inside, copy, scratch / "app.log") as app:
        url = yield from app.up()
        yield Progress(3, 4, "Asking it about golden pictures")
        answers, times = _ask(url, golden)
        answered = time.monotonic() - app.began - sum(times[1:])
        result = Tried(
            asdict(agreement(golden, answers, TOLERANCE)),
            "here",
            fingerprint(space),
            round(app.page_seconds, 2),
            round(answered, 2),
            _median(times[1:]),
            round(app.memory_mib()),
        )
    _judge(result, TOLERANCE)
    yield Progress(4, 4, "It answers as the model here does")
    return result


def _fresh_environment(python: str, scratch: Path, folder: Path) -> Stage[Path]:
    """Make an environment with what the requirements in ``folder`` say; returns its Python."""
    yield Progress(1, 4, "Installing what its requirements say into a fresh environment")
    own = scratch / "venv"
    yield from _wait_for([python, "-m", "venv", str(own)], scratch / "venv.log", "make an environment")
    inside = python_in(own)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"]
    yield from _wait_for([str(inside), *install], scratch / "pip.log", "install its requirements", folder)
    return inside


def _wait_for(command: Sequence[str], log: Path, what: str, cwd: Path | None = None) -> Stage[None]:
    """Run a program to its end, cancellable. Raises DeployError with the end of what it said."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=cwd, env=_environment(), stdout=said, stderr=subprocess.STDOUT)
        try:
            began = time.monotonic()
            while process.poll() is None:
                if (waited := time.monotonic() - began) > INSTALL_SECONDS:
                    raise DeployError(f"It took more than {INSTALL_SECONDS // 60} minutes to {what}.")
                time.sleep(POLL_SECONDS)
                yield Progress(1, 4, f"Installing what its requirements say into a fresh environment ({waited:.0f} s)")
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise DeployError(f"A fresh environment could not {what}. The end of what was said:\n{_tail(log)}")


@dataclass
class _App:
    """The Space's app in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    began: float
    page_seconds: float = 0.0

    def up(self) -> Stage[str]:
        """Wait for its first page; returns its address. Raises DeployError where it ends or takes too long."""
        told = 0.0
        while (waited := time.monotonic() - self.began) < START_SECONDS:
            if self.process.poll() is not None:
                raise DeployError(f"The app of the Space does not start. The end of what it said:\n{_tail(self.log)}")
            try:
                if httpx2.get(self.url, timeout=2, trust_env=False).status_code == 200:
                    self.page_seconds = time.monotonic() - self.began
                    return self.url
            except httpx2.HTTPError:
                time.sleep(POLL_SECONDS / 20)
            if waited - told > POLL_SECONDS:
                told = waited
                yield Progress(2, 4, f"Starting its app ({waited:.0f} s)")
        raise DeployError(f"The app of the Space did not answer within {START_SECONDS} s:\n{_tail(self.log)}")

    def memory_mib(self) -> float:
        """What the process and its children hold in memory."""
        own = psutil.Process(self.process.pid)
        return float(sum(one.memory_info().rss for one in (own, *own.children(recursive=True))) / 2**20)


@contextmanager
def _started(python: Path, folder: Path, log: Path) -> Iterator[_App]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as said:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(python), "-B", "app.py"],
            cwd=folder,
            env={**_environment(), **settings},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _App(process, f"http://127.0.0.1:{port}", log, began)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment() -> dict[str, str]:
    """This process's, without what a Space has not."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "HF_TOKEN", "SPACE_ID")}


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join(line[:400] for line in lines[-LOG_LINES:]) or "(nothing)"


def _try_page(space: SpaceFolder, url: str) -> Stage[Tried]:
    """The page in a browser on this machine; where it is online, that each of its files is the one in the folder."""
    if url:
        return (yield from _same_files(space, url))
    yield Progress(1, 2, "Opening the page in a browser")
    began = time.monotonic()
    result = Tried(asdict(try_page(space.folder)), "a browser here", fingerprint(space))
    if not result.agreed["images"]:
        raise DeployError("There is no example picture to test the page with. Export the Space with at least one.")
    _judge(result, PAGE_TOLERANCE)
    yield Progress(2, 2, f"It answers as the model here does ({time.monotonic() - began:.0f} s)")
    return result


def find_browser() -> Path | None:
    """A Chromium or Chrome on this machine, or None. The environment variable CHROME goes first, and it is None where
    that points to nothing.
    """
    if chosen := os.environ.get("CHROME"):
        found = shutil.which(chosen)
        return Path(found) if found else None
    on_path = (Path(found) for found in map(shutil.which, BROWSERS) if found)
    return next(on_path, None) or next((path for path in BROWSER_PLACES if path.exists()), None)


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
    return agreement([Golden(path, row) for path, row in expected], answers, PAGE_TOLERANCE)


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
    said: Queue[bytes] = Queue()
    with tempfile.TemporaryDirectory(prefix="winnow-browser-", ignore_cleanup_errors=True) as profile:
        as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        with (
            served(folder, said) as url,
            _browsing(
                [str(browser), *BROWSER_SWITCHES, *as_root, f"--user-data-dir={profile}", f"{url}/{PAGE}?test"]
            ) as process,
        ):
            result = _said_by_page(process, said)
    if "trouble" in result:
        raise DeployError(f"The page does not answer: {result['trouble']}")
    if "answers" not in result:
        raise DeployError(
            f"The page gave no answer in {browser.name}. Export it again, or try a newer Chromium or Chrome."
        )
    answers: list[dict[str, Any]] = result["answers"]
    return answers


@contextmanager
def _browsing(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A browser that is ended afterwards, with all its processes."""
    try:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise DeployError(f"The browser {command[0]} could not show the page ({type(error).__name__}).") from error
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            for one in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        process.kill()
        process.wait()


def _said_by_page(process: subprocess.Popen[bytes], said: Queue[bytes]) -> dict[str, Any]:
    """What the page sends; empty where it sends nothing in time, or no JSON object."""
    began = time.monotonic()
    while time.monotonic() - began < PAGE_SECONDS:
        with suppress(Empty):
            try:
                told = json.loads(said.get(timeout=POLL_SECONDS / 5))
            except ValueError:
                return {}
            return told if isinstance(told, dict) else {}
        if process.poll() is not None and said.empty():
            raise DeployError("The browser ended before the page had answered. Try a newer Chromium or Chrome.")
    return {}


class _Files(SimpleHTTPRequestHandler):
    extensions_map: dict[str, str] = {  # noqa: RUF012 - the name is SimpleHTTPRequestHandler's
        **SimpleHTTPRequestHandler.extensions_map,
        ".wasm": "application/wasm",
        ".mjs": "text/javascript",
    }

    def __init__(self, *about: Any, said: Queue[bytes] | None, **more: Any) -> None:
        self.said = said
        super().__init__(*about, **more)

    def do_POST(self) -> None:  # the name is SimpleHTTPRequestHandler's
        """What a page that is tested says."""
        length = self.headers.get("Content-Length", "")
        if self.said is None or self.path != "/answers" or not length.isdecimal() or int(length) > MOST_SAID:
            self.send_error(404)
            return
        self.said.put(self.rfile.read(int(length)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@contextmanager
def served(folder: Path, said: Queue[bytes] | None = None) -> Iterator[str]:
    """The folder on a web server that only this machine reaches; yields its address. What a page that is tested sends
    goes to ``said``.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder), said=said)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _same_files(space: SpaceFolder, url: str) -> Stage[Tried]:
    address = url.rstrip("/") if "://" in url else f"https://{url.replace('/', '-').lower()}.static.hf.space"
    model = file_sha256(space.folder / ONNX)
    served = [name for name in sorted(space.sizes) if name != "README.md"]
    for number, name in enumerate(served):
        yield Progress(number, len(served), f"Comparing {name}")
        try:
            answer = httpx2.get(f"{address}/{quote(name)}", timeout=ANSWER_SECONDS, follow_redirects=True)
            answer.raise_for_status()
        except httpx2.HTTPError as error:
            raise DeployError(f"{address} does not hand out {name} ({error}). Deploy the folder again.") from error
        same = hashlib.sha256(answer.content).hexdigest() == file_sha256(space.folder / name)
        if not same and not (name.endswith(".html") and model in answer.text):  # a hub may add to a page
            raise DeployError(f"{name} at {address} is not the one in the folder. Deploy the folder again.")
    agreed = Agreement(len(list((space.folder / "examples").glob("*.jpg"))), 0.0, "", True)
    yield Progress(len(served), len(served), "It is, file by file, what is in the folder")
    return Tried(asdict(agreed), address, fingerprint(space))


def _try_elsewhere(space: SpaceFolder, golden: Sequence[Golden], url: str, own_token: bool) -> Stage[Tried]:
    token = os.environ.get("HF_TOKEN") if own_token and "://" not in url else None
    yield Progress(3, 4, f"Asking {url} about golden pictures")
    answers, times = _ask(url, golden, token)
    agreed = asdict(agreement(golden, answers, TOLERANCE_ELSEWHERE))
    result = Tried(agreed, url, fingerprint(space), None, round(times[0], 2), _median(times[1:]))
    _judge(result, TOLERANCE_ELSEWHERE)
    yield Progress(4, 4, "It answers as the model here does")
    return result


def _ask(url: str, golden: Sequence[Golden], token: str | None = None) -> tuple[list[Mapping[str, float]], list[float]]:
    """(the probabilities that were given, by class; the seconds it took) for each golden picture."""
    answers: list[Mapping[str, float]] = []
    times = []
    try:
        client = Client(url, token=token, verbose=False, download_files=False, analytics_enabled=False)
        for one in golden:
            began = time.monotonic()
            told = client.submit(handle_file(one.path), api_name=OFFERED).result(timeout=ANSWER_SECONDS)
            times.append(time.monotonic() - began)
            answers.append({bar["label"]: float(bar["confidence"]) for bar in told[0]["confidences"]})
    except Exception as error:  # noqa: BLE001 - the one boundary: whatever the client raises is put into words
        raise DeployError(
            f"{url} does not answer at {OFFERED}: {str(error)[:400] or type(error).__name__}. Look at it in a browser; "
            "a Space that sleeps needs some minutes to wake."
        ) from None
    return answers, times


def _median(times: Sequence[float]) -> float | None:
    return round(statistics.median(times), 3) if times else None


def _judge(result: Tried, tolerance: float) -> None:
    agreed = result.agreed
    if not agreed["max_difference"] <= tolerance or not agreed["same_top"]:
        raise DeployError(
            f"The Space does not answer as the model in its folder does: on {agreed['worst']} a probability differs by "
            f"{agreed['max_difference']:.2g} (allowed: {tolerance:g}). Export the run again, then test the new folder."
        )
