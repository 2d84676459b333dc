"""Candidates -> files: bounded, concurrent, safe, every failure a row with a reason."""

from __future__ import annotations

import csv
import queue
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.arrivals import Arrival, Arrivals, arriving
from pipeline.errors import SourceError, UsageError
from pipeline.fetch import Fetch, FetchLimits
from pipeline.records import NewImage
from pipeline.sources import clean_label
from pipeline.stage import Progress, Stage
from pipeline.workspace import Workspace

MAX_ROWS = 100_000
BEAT_SECONDS = 0.5
BATCH = 64
# A failure that ends with this sentence may pass: the next download asks for the URL again.
AGAIN = "It is tried again at the next download."


@dataclass(frozen=True)
class DownloadConfig:
    """``urls``: a CSV file with the columns url and label, put in as candidates first; else the candidates there are
    (``only`` these (url, label) pairs, where given).

    ``allow_hosts`` are exact ``host:port`` strings exempt from the address rule (one's own server). ``max_bytes`` and
    ``seconds`` are for each URL; ``connections`` are open at once, ``per_host`` of them to one host.
    """

    urls: str | None = None
    only: tuple[tuple[str, str], ...] = ()
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
    ledger.take_up(config)
    yield ledger.progress()
    if not ledger.open:
        return ledger.summary()
    limits = FetchLimits(
        max_bytes=config.max_bytes,
        total_seconds=config.seconds,
        connections=config.connections,
        per_host=config.per_host,
    )
    arrivals: Arrivals = queue.SimpleQueue()
    try:
        with arriving(arrivals, workspace, ledger.urls(), limits, config.allow_hosts, fetch):
            while ledger.open:
                ledger.record(_next(arrivals))
                yield ledger.progress()
    finally:
        ledger.record(_left(arrivals))
    return ledger.summary()


def waiting(workspace: Workspace) -> int:
    """How many candidates the next download would ask for."""
    return sum(_is_open(row) for row in workspace.store.candidates().to_dict("records"))


def _is_open(row: Mapping[Any, Any]) -> bool:
    return row["status"] == "new" or (row["status"] == "failed" and str(row["reason"]).endswith(AGAIN))


def _next(arrivals: Arrivals) -> list[Arrival]:
    """What came; waits a moment for the first. Raises what stopped the work in the background."""
    came: list[Arrival] = []
    while len(came) < BATCH:
        try:
            item = arrivals.get(timeout=0 if came else BEAT_SECONDS)
        except queue.Empty:
            break
        if isinstance(item, Arrival):
            came.append(item)
        elif came:
            arrivals.put(item)  # the last item there is: first what came before it
            break
        else:
            raise item
    return came


def _left(arrivals: Arrivals) -> Iterator[Arrival]:
    while not arrivals.empty():
        item = arrivals.get()
        if isinstance(item, Arrival):
            yield item


# --- what is wanted, and how it ended ------------------------------------------------------------------------------


class _Ledger:
    """The candidates still open, by URL, and the results so far."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.open: dict[str, list[Mapping[str, Any]]] = {}
        self.known: set[str] = set()
        self.results: list[Result] = []
        self.counts: Counter[str] = Counter()
        self.problems: tuple[str, ...] = ()
        self.note = "Downloading pictures"

    def take_up(self, config: DownloadConfig) -> None:
        """Find out what there is to do; what is here already is put on record without asking for it."""
        sources = self.workspace.store.sources().to_dict("records")
        here = {row["name"]: row for row in sources}
        self.known = {row["image_id"] for row in sources}
        ended = []
        for row in self._candidates(config):
            source = here.get(row["url"])
            if not _is_open(row):
                self._repeat(row, bool(config.urls or config.only))
            elif source is not None:
                status = "stored" if source["claimed_label"] == row["label"] else "duplicate"
                ended.append(self._end(row, status, None, "It is here already.", source["image_id"]))
            else:
                self.open.setdefault(row["url"], []).append(row)
        self.workspace.store.record_downloads([asdict(result) for result in ended])

    def _candidates(self, config: DownloadConfig) -> list[dict[str, Any]]:
        wanted = set(config.only) or None
        if config.urls is not None:
            listed, self.problems = _read_urls(Path(config.urls))
            self.workspace.store.add_candidates({"provider": "urls", "url": u, "label": c} for u, c in listed)
            wanted = set(listed)
        rows = self.workspace.store.candidates().to_dict("records")
        named = [{str(key): value for key, value in row.items()} for row in rows]
        return [row for row in named if wanted is None or (row["url"], row["label"]) in wanted]

    def _repeat(self, row: Mapping[str, Any], asked_for: bool) -> None:
        """A row that ended in an earlier download is told again where the person's file asks for it."""
        if asked_for:
            had = row["status"] in ("stored", "duplicate")
            status, reason = ("duplicate", "It was downloaded before.") if had else (row["status"], row["reason"])
            self._add(Result(row["url"], row["label"], status, row["code"], reason, row["sha256"]))

    def urls(self) -> list[str]:
        """The URLs to ask for, the hosts in turn, so that one slow host does not hold up the others."""
        by_host: dict[str, list[str]] = defaultdict(list)
        for url in self.open:
            by_host[_host(url)].append(url)
        turns = (turn for turn in zip_longest(*by_host.values()))
        return [url for turn in turns for url in turn if url is not None]

    def record(self, arrivals: Iterable[Arrival]) -> None:
        """Put arrivals on record: all their images first, then how each candidate ended."""
        ended = [(arrival, row) for arrival in arrivals for row in self.open.pop(arrival.url)]
        if images := [_new_image(arrival, row) for arrival, row in ended if arrival.image]:
            self.workspace.store.add_images(images)
        results = []
        for arrival, row in ended:
            self.note = f"Downloading pictures: {_host(arrival.url)}"
            if arrival.image is None:
                reason = f"{arrival.reason} {AGAIN}" if arrival.again else arrival.reason
                status = "skipped" if arrival.code == "noai" else "failed"
                results.append(self._end(row, status, arrival.code, reason, None))
            elif arrival.image in self.known:
                results.append(self._end(row, "duplicate", None, "The same picture is here already.", arrival.image))
            else:
                self.known.add(arrival.image)
                results.append(self._end(row, "stored", None, arrival.reason, arrival.image))
        self.workspace.store.record_downloads([asdict(result) for result in results])

    def _end(self, row: Mapping[str, Any], status: str, code: str | None, reason: str, image: str | None) -> Result:
        result = Result(row["url"], row["label"], status, code, reason, image)
        self._add(result)
        return result

    def _add(self, result: Result) -> None:
        self.results.append(result)
        self.counts[result.status] += 1

    def progress(self) -> Progress:
        """How far it is; ``metrics`` counts the results by status."""
        left = sum(len(rows) for rows in self.open.values())
        return Progress(len(self.results), len(self.results) + left, self.note, dict(self.counts))

    def summary(self) -> Downloaded:
        """The result of the stage."""
        return Downloaded(tuple(self.results), self.counts["stored"], self.counts["failed"], self.problems)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _new_image(arrival: Arrival, row: Mapping[str, Any]) -> NewImage:
    return NewImage(
        id=str(arrival.image),
        file=arrival.file,
        bytes=arrival.size,
        label=row["label"],
        provider=row["provider"],
        name=row["url"],
        page_url=row["page_url"],
        licence=row["licence"],
    )


# --- a file of URLs ------------------------------------------------------------------------------------------------


def _read_urls(file: Path) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """The (url, label) rows of a CSV file, and what is wrong with its other rows, by line number."""
    rows: list[tuple[str, str]] = []
    problems: list[str] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            url, label = _columns(file, reader.fieldnames or ())
            for row in reader:
                if len(rows) + len(problems) >= MAX_ROWS:
                    raise SourceError(f"{file.name} has more than {MAX_ROWS:,} rows. Download it in parts.")
                try:
                    rows.append(_url_and_label(row.get(url), row.get(label)))
                except SourceError as error:
                    problems.append(f"Line {reader.line_num}: {error}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{file} cannot be read as a CSV file in UTF-8: {error}.") from error
    return rows, tuple(problems)


def _columns(file: Path, names: Sequence[str]) -> tuple[str, str]:
    columns = {(name or "").strip().lower(): name for name in names}
    missing = [name for name in ("url", "label") if name not in columns]
    if missing:
        raise SourceError(
            f"{file.name} has no column '{missing[0]}' (it has: {', '.join(columns)[:200] or 'none'}). "
            "Its first line has to name the columns url and label."
        )
    return columns["url"], columns["label"]


def _url_and_label(url: str | None, label: str | None) -> tuple[str, str]:
    if not (url or "").strip():
        raise SourceError("It has no URL.")
    return str(url).strip(), clean_label(label or "")
