"""Import modules of ours and print what that touched: files, connections, processes, threads, components.

    python -B tests/support/watch_imports.py OURS OTHERS        (names with commas between)

The others are what ours import from elsewhere; they come first, unwatched, because some of them do write at import.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CODE = (".py", ".pyc", ".so", ".pyd")
WRITING = 0b11  # O_WRONLY | O_RDWR
TOUCHING = {
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.system",
    "subprocess.Popen",
    "sqlite3.connect",
    "tempfile.mkstemp",
    "tempfile.mkdtemp",
}


class Watch:
    """Notes what happens while ``current`` names the module that is being imported."""

    def __init__(self) -> None:
        self.current = ""
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.current and event == "open":
            self._on_open(str(arguments[0]), arguments[1] or "", arguments[2] or 0)
        elif self.current and event in TOUCHING:
            self.seen.append(f"{self.current}: {event} {arguments[0]!r}")

    def _on_open(self, path: str, mode: str, flags: int) -> None:
        writes = bool(set(mode) & set("wax+")) or bool(flags & WRITING)
        reads_ours = path.startswith(str(ROOT)) and "site-packages" not in path and not path.endswith(CODE)
        if writes or reads_ours:
            self.seen.append(f"{self.current}: opens {path}")

    def components(self) -> None:
        """Note every Gradio component and Blocks that is made."""
        from gradio.blocks import Block

        original = Block.__init__

        def init(block: Block, *arguments: Any, **options: Any) -> None:
            self.seen.append(f"{self.current}: makes a {type(block).__name__}")
            original(block, *arguments, **options)

        Block.__init__ = init  # type: ignore[method-assign]


def main(ours: list[str], others: list[str]) -> None:
    """Import ``others``, then ``ours`` under watch, and print what was seen."""
    sys.path[0] = str(ROOT)
    for name in others:
        with contextlib.suppress(ImportError):  # not installed here; what needs it imports it late
            importlib.import_module(name)
    watch = Watch()
    watch.components()
    sys.addaudithook(watch)
    threads = threading.active_count()
    for name in ours:
        watch.current = name
        importlib.import_module(name)
    watch.current = ""
    if threading.active_count() > threads:
        watch.seen.append("a thread is running after the imports")
    print("\n".join(watch.seen))


if __name__ == "__main__":
    main(sys.argv[1].split(","), sys.argv[2].split(","))
