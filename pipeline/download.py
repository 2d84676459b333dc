"""Candidates -> files: bounded, concurrent, safe, every failure a row with a reason."""

from __future__ import annotations

import csv
import queue
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.arrivals import Arrival, Arrivals, arriving
from pipeline.errors import SourceError, UsageError
from pipeline.fetch import Fetch, FetchLimits
from pipeline.sources import clean_label
from pipeline.stage import Progress, Stage
from pipeline.store import NewImage
from pipeline.workspace import Workspace

MAX_ROWS = 100_000
BEAT_SECONDS = 0.5
BATCH = 64
# A failure that ends with this sentence may pass: the next download asks for the URL again.
AGAIN = "It is tried again at the next download."


@dataclass(frozen=True)
class DownloadConfig:
    """``urls``: a CSV file with the columns url and label, put in as candidates first; else the candidates there are.

    ``allow_hosts`` are exact ``host:port`` strings exempt from the address rule (one's own server). ``max_bytes`` and
    ``seconds`` are for each URL; ``connections`` are open at once, ``per_host`` of them to one host.
    """

    urls: str | None = None
    allow_hosts: tuple[str, ...] = ()
    max_bytes: int = 32 << 20
    seconds: float = 30.0
    connections: int = 16
    per_host: int = 6

    def __post_init__(self) -> None:
        if min(self.max_bytes, self.seconds, self.connections, self.per_host) <= 0:
            raise UsageError("The limits of a download (bytes, seconds, connections) are numbers above zero.")
        for entry in self.allow_hosts:
            name, _, port = entry.rpartition(":")
            if not name or not port.isdigit():
                raise UsageError(f"'{entry}' is not of the form HOST:PORT, like 127.0.0.1:8000.")


@dataclass(frozen=True)
class Result:
    """How one candidate ended. ``status``: stored, duplicate, failed or skipped; ``code``: one of ``fetch.CODES``.

    ``sha256`` is the image's id, where there is one.
    """

    url: str
    label: str
    status: str
    code: str | None = None
    reason: str = ""
    sha256: str | None = None


@dataclass(frozen=True)
class Downloaded:
    """A row for every candidate; how many are new images, how many failed; ``problems``: bad lines of the CSV file."""

    results: tuple[Result, ...] = ()
    downloaded: int = 0
    failed: int = 0
    problems: tuple[str, ...] = ()


def download(
    workspace: Workspace, config: DownloadConfig | None = None, fetch: Fetch | None = None
) -> Stage[Downloaded]:
    """Fetch the candidates that are new, or that failed for a reason that may have passed, and store them as images.

    What came before a cancel or a crash stays; another run asks only for what is missing. ``fetch`` is the network
    client: URL -> bytes, or ``NotFetched``. Raises SourceError for a file of URLs that cannot be read.
    """
    config = config or DownloadConfig()
    ledger = _Ledger(workspace)
    ledger.take_up(config.urls)
    yield ledger.progress()
    if not ledger.open:
        return ledger.summary()
    limits = FetchLimits(
        max_bytes=config.max_bytes,
        total_seconds=config.seconds,
        connections=config.connections,
        per_host=config.per_host,
    )
    with ledger.last_entries(), arriving(workspace, ledger.urls(), limits, config.allow_hosts, fetch) as arrivals:
        ledger.arrivals = arrivals
        while ledger.open:
            ledger.record(_next(arrivals))
            yield ledger.progress()
    return ledger.summary()
