"""What every test stands on: no network but this machine, a workspace, real photographs, a stand-in of the hub."""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.support.durations import Durations
from tests.support.hub_stand_in import HubStandIn
from tests.support.sharing import Scheduling, sample, sampled, share_out  # noqa: F401 - a fixture for all tests
from tests.support.shelf import (  # noqa: F401 - fixtures for all tests
    exported_model,
    exported_onnx,
    exported_space,
    fruit,
    messy_run,
    photographs,
    shelf,
    small_network,
    starter_folder,
    tiny_run,
    trained,
)
from tests.support.site import Site, running

if TYPE_CHECKING:
    from pipeline.workspace.workspace import Workspace

SCHEDULING = pytest.StashKey[Scheduling]()
TEMPORARY = tempfile.gettempdir()
PRIVATE = Path(tempfile.mkdtemp(prefix="winnow-tests-"))

# For the tests and the processes that they start. Set here, before any test module imports one of the libraries.
os.environ.update(
    # One thread a process: several that spin for each other's results make two workers many times slower.
    OMP_NUM_THREADS="1",
    OMP_WAIT_POLICY="PASSIVE",
    OPENBLAS_NUM_THREADS="1",
    # Each worker trains by itself: the lock of the one training a machine lies in the temporary folder.
    TMPDIR=str(PRIVATE),
    PYTEST_DEBUG_TEMPROOT=os.environ.get("PYTEST_DEBUG_TEMPROOT", TEMPORARY),
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_XET="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HOME=str(PRIVATE / "huggingface"),
    GRADIO_ANALYTICS_ENABLED="False",
    GRADIO_ANALYTICS_CACHE_FREQUENCY="1000000",  # its statistics of events: anew with each, in a way that pandas leaves
    WINNOW_STAGES="tests.support.stages",
    GRADIO_TEMP_DIR=str(PRIVATE / "gradio"),
    XDG_STATE_HOME=str(PRIVATE / "state"),
    NO_PROXY="127.0.0.1,localhost",
)
tempfile.tempdir = None  # looked up anew
for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"):
    os.environ.pop(name, None)

# A shell's background job starts with Ctrl-C ignored, and a process it starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Property tests share two cores with everything else: a slow example is no failure.
settings.register_profile("winnow", deadline=None, print_blob=True)
settings.load_profile("winnow")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A new, empty workspace."""
    from pipeline.workspace.workspace import Workspace

    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server on this machine whose pages the test sets."""
    with running() as server:
        yield server


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """A stand-in of the Hugging Face Hub; child processes find it with ``env={**os.environ, **hub.environment}``."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with HubStandIn() as stand_in:
        yield stand_in


@pytest.fixture(autouse=True)
def only_this_machine(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Fails a test that connects to another machine; names are not looked up, as on a machine without a network.

    A test marked ``network`` goes free. Only this process is watched. Yields the attempts so far.
    """
    attempts: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("network") is None:
            for method in ("connect", "connect_ex", "sendto"):
                patch.setattr(socket.socket, method, _guarded(getattr(socket.socket, method), attempts))
            patch.setattr(socket, "getaddrinfo", _without_names(socket.getaddrinfo))
        yield attempts
    if attempts:
        pytest.fail(f"This test tried to reach another machine: {', '.join(attempts)}", pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Ours beside pytest's."""
    group = parser.getgroup("winnow")
    group.addoption("--exhaustive", action="store_true", help="all that exhaustive tests have instead of a tenth")
    group.addoption("--compare-durations", action="store_true", help="tell the slowest, and fail where the set grew")


def pytest_configure(config: pytest.Config) -> None:
    """Every test is timed."""
    config.pluginmanager.register(Durations(config), "winnow-durations")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is run here, where, and in which order.

    Tests that need a GPU or the internet are skipped where there is none, a tenth of the exhaustive ones is taken, and
    a module's tests stay together, so that what they share is made once; what takes longest comes first. The hub's
    client may use an old call.
    """
    sample(config, items)
    share_out(config, items)
    for item in items:
        if "hub" in getattr(item, "fixturenames", ()):
            # huggingface_hub 2.4 hands httpx2 an open file in the old way when it sends a blob without Xet.
            item.add_marker(pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"))
    if any(item.get_closest_marker("gpu") for item in items) and not _has_gpu():
        _skip(items, "gpu", "needs a CUDA device")
    if os.environ.get("WINNOW_NETWORK") != "1":
        _skip(items, "network", "needs the internet: set WINNOW_NETWORK=1")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Ours for ``--dist loadgroup``, which makes up for a worker that dies."""
    if config.getvalue("dist") != "loadgroup":
        return None
    config.stash[SCHEDULING] = Scheduling(config, log)
    return config.stash[SCHEDULING]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Which tests a worker died at."""
    for test in config.stash[SCHEDULING].died if SCHEDULING in config.stash else ():
        terminalreporter.write_line(f"A worker died at {test}.", red=True)


def pytest_sessionfinish() -> None:
    """Leave nothing behind."""
    shutil.rmtree(PRIVATE, ignore_errors=True)


def _skip(items: list[pytest.Item], marker: str, reason: str) -> None:
    for item in items:
        if item.get_closest_marker(marker):
            item.add_marker(pytest.mark.skip(reason=reason))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _guarded(original: Callable[..., Any], attempts: list[str]) -> Callable[..., Any]:
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
            attempts.append(f"{address[0]} port {address[1]}")
            raise ConnectionRefusedError(f"tests may not reach {address[0]}, only this machine")
        return original(self, *arguments)

    return guarded


def _is_here(host: str) -> bool:
    if host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _without_names(original: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(
        host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:  # the parameters' names are those of the standard library
        name = host.decode() if isinstance(host, bytes) else host
        if name not in (None, "", "localhost"):
            flags |= socket.AI_NUMERICHOST  # fails for a name, without asking any server
        result: list[Any] = original(host, port, family, type, proto, flags)
        return result

    return getaddrinfo
