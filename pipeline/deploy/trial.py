"""Test this Space: a fresh environment from its own requirements, its app started and asked, the answers compared."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import psutil
from gradio_client import Client, handle_file  # type: ignore[import-untyped]

from pipeline.deploy.golden import Agreement, Golden, agreement, golden_pictures
from pipeline.deploy.space import SpaceFolder, read_space
from pipeline.deploy.web_trial import TOLERANCE as PAGE_TOLERANCE
from pipeline.deploy.web_trial import try_page
from pipeline.errors import DeployError, UsageError
from pipeline.jobs.job import finished
from pipeline.jobs.stages import StageName
from pipeline.predict import ONNX, file_sha256
from pipeline.stage import Progress, Stage
from pipeline.workspace.workspace import Workspace

# Of a probability: the packages of the Space may be other versions than those here; elsewhere the machine is another.
TOLERANCE, TOLERANCE_ELSEWHERE = 1e-3, 1e-2
INSTALL_SECONDS, START_SECONDS, ANSWER_SECONDS = 1800, 300, 120
OFFERED = "/predict"
LOG_LINES = 15
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class TrialConfig:
    """Which Space folder is tried: in a fresh environment on this machine, or, with ``url`` (an address, or user/name
    on Hugging Face), where it is online. ``python``: what the environment is made with (empty: this Python).
    ``own_token``: HF_TOKEN of the environment may be shown to Hugging Face, for a private Space.

    >>> w.TrialConfig("fruit-page", url="ann/fruit").url  # without a url: here, in a fresh environment
    'ann/fruit'
    """

    folder: str
    url: str = ""
    python: str = ""
    own_token: bool = False

    def __post_init__(self) -> None:
        if not self.folder.strip():
            raise UsageError("Say which Space folder to test.")


@dataclass(frozen=True)
class Tried:
    """How a Space did: ``agreed`` with the model in its folder (see :class:`pipeline.deploy.golden.Agreement`), seconds
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


def try_space(_: Workspace | None, config: TrialConfig) -> Stage[Tried]:
    """Prove a Space before it is published, or look whether it is still fine where it is.

    Raises DeployError where it cannot be installed or started, refuses a picture, or answers otherwise than the model
    in the folder does on this machine.

    >>> tried = w.run(w.try_space(None, w.TrialConfig("fruit-page", url="http://127.0.0.1:8000")))
    >>> tried.agreed["same_top"], tried.where
    (True, 'http://127.0.0.1:8000')
    """
    space = read_space(config.folder)
    if space.sdk == "static":
        return (yield from _try_page(space, config.url))
    with tempfile.TemporaryDirectory(prefix="winnow-trial-") as made:
        scratch = Path(made)
        yield Progress(0, 4, "Asking the model in the folder about golden pictures")
        golden = golden_pictures(space.folder, scratch)
        if config.url:
            return (yield from _try_elsewhere(space, golden, config))
        return (yield from _try_here(space, golden, scratch, config.python or sys.executable))


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


# --- on this machine -------------------------------------------------------------------------------------------------


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
    inside = own / ("Scripts" if os.name == "nt" else "bin") / "python"
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


# --- a page ----------------------------------------------------------------------------------------------------------


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


# --- where it is online ----------------------------------------------------------------------------------------------


def _try_elsewhere(space: SpaceFolder, golden: Sequence[Golden], config: TrialConfig) -> Stage[Tried]:
    url, token = config.url, os.environ.get("HF_TOKEN") if config.own_token and "://" not in config.url else None
    yield Progress(3, 4, f"Asking {url} about golden pictures")
    answers, times = _ask(url, golden, token)
    agreed = asdict(agreement(golden, answers, TOLERANCE_ELSEWHERE))
    result = Tried(agreed, url, fingerprint(space), None, round(times[0], 2), _median(times[1:]))
    _judge(result, TOLERANCE_ELSEWHERE)
    yield Progress(4, 4, "It answers as the model here does")
    return result


# --- asking and comparing --------------------------------------------------------------------------------------------


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
