"""An app in a process of its own: ``python app.py`` in a folder, on a free port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

START_SECONDS = 180.0


def free_port() -> int:
    """A port of 127.0.0.1 at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait for something; fail where it takes longer."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.25)


class Server:
    """Started when made, ready once it answers, stopped where its context ends.

    ``environment`` is set beside this process's; what it says goes to the file ``log``, where one is given.
    """

    def __init__(
        self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None, log: Path | None = None
    ) -> None:
        self.folder, self.arguments, self.log = folder, arguments, log
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.environment |= {"GRADIO_SERVER_PORT": str(self.port), "GRADIO_SERVER_NAME": "127.0.0.1"}
        self.environment |= environment or {}
        self.start()

    def start(self) -> None:
        """Start it, again after :meth:`stop`."""
        command = [sys.executable, "-B", "app.py", *self.arguments]
        with self.log.open("ab") if self.log else nullcontext() as output:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output, stderr=output
            )
        try:
            until(self._answers, START_SECONDS)
        except AssertionError:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it as Ctrl-C would, and wait for its end."""
        self.process.terminate()
        self.process.wait(60)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        said = self.log.read_text(errors="replace") if self.log else ""
        assert self.process.poll() is None, f"the app ended by itself: {said}"
        try:
            with urlopen(self.url, timeout=5) as response:
                return bool(response.status == 200)
        except (URLError, ConnectionError, TimeoutError):
            return False
