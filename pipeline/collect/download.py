"""Candidates -> files: bounded, concurrent, safe, every failure a row with a reason."""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.collect.arrivals import Arrival, Arrivals, Kept, Plan, arriving
from pipeline.collect.data_card import card_afterwards
from pipeline.collect.entries import Labelling, Link, Note, Refused
from pipeline.collect.tables import read_table
from pipeline.errors import UsageError
from pipeline.settings import check, setting
from pipeline.stage import Progress, Stage
from pipeline.web.addresses import host
from pipeline.web.fetch import Client, Fetch, FetchLimits
from pipeline.web.hosts import OWN_CONNECTIONS
from pipeline.web.responses import AGAIN
from pipeline.workspace.limits import check_images, room_for_images
from pipeline.workspace.records import NewImage
from pipeline.workspace.workspace import Workspace

BEAT_SECONDS = 0.3
BATCH = 256
SMALLEST_SIDE = 64
HERE = "The same picture is here already."
OWN_SERVER = "a server of your own that may be asked although its address is not public"
LIMITS_ARE_NUMBERS = "The limits of a download (bytes, seconds, connections) are numbers above zero."


@dataclass(frozen=True)
class DownloadConfig:
    """What to fetch, and how. Raises UsageError where that makes no sense.

    >>> config = w.DownloadConfig(urls="bears.csv", max_side=1024, honour_noai=False)
    >>> config.connections, config.per_host
    (64, 6)
    """

    urls: str | None = setting(
        None,
        "a CSV file with the columns url, label and perhaps split, whose lines become candidates first",
        means={None: "the candidates there are"},
        metavar="FILE.csv",
    )
    only: tuple[tuple[str, str], ...] = setting((), "these (url, label) pairs of the candidates alone", flag=None)
    allow_hosts: tuple[str, ...] = setting((), OWN_SERVER, flag="--allow-host", metavar="HOST:PORT")
    max_bytes: int = setting(32 << 20, "the most bytes of a file", flag=None, above=0, rule=LIMITS_ARE_NUMBERS)
    seconds: float = setting(30.0, "the most time for a URL", flag=None, above=0, rule=LIMITS_ARE_NUMBERS)
    connections: int = setting(64, "connections that are open at once", flag=None, above=0, rule=LIMITS_ARE_NUMBERS)
    per_host: int = setting(6, "of them to one host", flag=None, above=0, rule=LIMITS_ARE_NUMBERS)
    max_side: int = setting(
        0,
        "reduce pictures that are wider or higher to so many pixels",
        low=SMALLEST_SIDE,
        means={0: "kept as they are"},
        rule=f"Pictures can be reduced to {SMALLEST_SIDE} pixels or more (0 keeps them as they are).",
    )
    honour_noai: bool = setting(
        True, "take pictures, too, whose site asks not to train on them (X-Robots-Tag: noai)", flag="--ignore-noai"
    )

    def __post_init__(self) -> None:
        check(self)
        for entry in self.allow_hosts:
            name, _, port = entry.rpartition(":")
            if not name or not (port.isascii() and port.isdecimal()):
                raise UsageError(f"'{entry}' is not of the form HOST:PORT, like 127.0.0.1:8000.")


@dataclass(frozen=True)
class Result:
    """How one candidate ended. ``status``: stored, duplicate, failed or skipped.

    ``code`` is one of ``pipeline.web.responses.CODES``. ``sha256`` is the image's id, where there is one. ``again``:
    the next download asks for the URL again.
    """

    url: str
    label: str
    status: str
    code: str | None = None
    reason: str = ""
    sha256: str | None = None
    again: bool = False


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

    What came before a cancel or a crash stays; another run asks only for what is missing. In the end, also at
    a cancel, the data card is written anew. ``fetch`` is the network client: URL -> bytes, or ``NotFetched``. Raises
    SourceError for a file of URLs that cannot be read.

    >>> config = w.DownloadConfig(urls="bears.csv", allow_hosts=("127.0.0.1:8000",))  # a server of one's own
    >>> done = w.run(w.download(ws, config))
    >>> done.downloaded, [(result.url, result.code) for result in done.results if result.status == "failed"]
    (1, [('http://127.0.0.1:8000/gone.jpg', 'http_error')])
    """
    config = config or DownloadConfig()
    workspace.sweep()
    ledger = _Ledger(workspace)
    ledger.take_up(config)
    if not ledger.open and not ledger.results:
        ledger.note = "There is nothing to download. Search for pictures first, or give a list of URLs"
    yield ledger.progress()
    if not ledger.open:
        return ledger.summary()
    arrivals: Arrivals = queue.SimpleQueue()
    plan = Plan(config.connections, max(config.per_host, OWN_CONNECTIONS), config.max_side)
    with card_afterwards(workspace):
        try:
            with arriving(arrivals, workspace, ledger.by_host(), fetch or _client(config), plan):
                while ledger.open:
                    ledger.record(_next(arrivals))
                    yield ledger.progress()
        finally:
            ledger.record(_left(arrivals))
    return ledger.summary()


def _client(config: DownloadConfig) -> Client:
    limits = FetchLimits(
        max_bytes=config.max_bytes,
        total_seconds=config.seconds,
        connections=config.connections,
        per_host=config.per_host,
    )
    return Client(limits, config.allow_hosts, honour_noai=config.honour_noai)


def waiting(workspace: Workspace, honour_noai: bool = True) -> int:
    """How many candidates the next download would ask for."""
    return int(_open(workspace.store.candidates(), honour_noai).sum())


def _open(candidates: pd.DataFrame, honour_noai: bool) -> pd.Series[bool]:
    """Which candidates are still to be asked for."""
    status = candidates["status"]
    unasked = (status == "new") | ((candidates["code"] == "noai") & (not honour_noai))
    return unasked | ((status == "failed") & candidates["again"].astype(bool))


def _next(arrivals: Arrivals) -> list[Arrival]:
    """What came within a beat (each transaction of the store costs milliseconds). Raises what stopped the work."""
    came: list[Arrival] = []
    end = time.monotonic() + BEAT_SECONDS
    while len(came) < BATCH and (patience := end - time.monotonic()) > 0:
        try:
            item = arrivals.get(timeout=patience)
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
        self.known: dict[str, str] = {}
        self.splits: dict[str, str] = {}
        self.results: list[Result] = []
        self.counts: Counter[str] = Counter()
        self.problems: tuple[str, ...] = ()
        self.note = "Downloading pictures"

    def take_up(self, config: DownloadConfig) -> None:
        """Find out what there is to do; what is here already is put on record without asking for it."""
        sources = self.workspace.store.sources().to_dict("records")
        here = {row["name"]: row for row in reversed(sources)}
        called = {(row["name"], row["claimed_label"]) for row in sources}
        self.known = {row["original_sha256"] or row["image_id"]: row["image_id"] for row in sources}
        self.known |= {row["image_id"]: row["image_id"] for row in sources}
        ended, left_out, room = [], 0, room_for_images(self.workspace)
        for row in self._candidates(config):
            source = here.get(row["url"])
            if not row["open"]:
                self._repeat(row, bool(config.urls or config.only))
            elif source is not None:
                status = "stored" if (row["url"], row["label"]) in called else "duplicate"
                ended.append(self._end(row, status, None, HERE, source["image_id"]))
            elif row["url"] in self.open or room is None or len(self.open) < room:
                self.open.setdefault(row["url"], []).append(row)
            else:
                left_out += 1
        if left_out and not self.open:
            check_images(self.workspace, left_out)
        if left_out:
            self.problems += (f"{left_out:,} were not asked for: no more pictures may be kept here.",)
        self.workspace.store.record_downloads([asdict(result) for result in ended])

    def _candidates(self, config: DownloadConfig) -> list[dict[str, Any]]:
        wanted = set(config.only) or None
        if config.urls is not None:
            listed, self.problems = _read_urls(Path(config.urls))
            rows = [{"provider": "urls", "url": link.url, "label": link.label} for link in listed]
            self.workspace.store.add_candidates(rows)
            wanted = {(link.url, link.label) for link in listed}
            self.splits = {link.url: link.split for link in listed if link.split}
        known = self.workspace.store.candidates()
        rows_known = known.assign(open=_open(known, config.honour_noai)).to_dict("records")
        named = [{str(key): value for key, value in row.items()} for row in rows_known]
        return [row for row in named if wanted is None or (row["url"], row["label"]) in wanted]

    def _repeat(self, row: Mapping[str, Any], asked_for: bool) -> None:
        """A row that ended in an earlier download is told again where the person's file asks for it."""
        if asked_for:
            had = row["status"] in ("stored", "duplicate")
            status, reason = ("duplicate", "It was downloaded before.") if had else (row["status"], row["reason"])
            self._add(Result(row["url"], row["label"], status, row["code"], reason, row["sha256"]))

    def by_host(self) -> dict[str, list[str]]:
        """The URLs to ask for, by host."""
        hosts: dict[str, list[str]] = {}
        for url in self.open:
            hosts.setdefault(host(url), []).append(url)
        return hosts

    def record(self, arrivals: Iterable[Arrival]) -> None:
        """Put arrivals on record: all their images first, then how each candidate ended."""
        ended = [(arrival, row) for arrival in arrivals for row in self.open.pop(arrival.url)]
        new, results = [], []
        for arrival, row in ended:
            self.note = f"Downloading pictures: {host(arrival.url)}"
            if arrival.kept is None:
                reason = f"{arrival.reason} {AGAIN}" if arrival.again else arrival.reason
                status = "skipped" if arrival.code == "noai" else "failed"
                results.append(self._end(row, status, arrival.code, reason, None, arrival.again))
            else:
                image, kept = self._here(arrival.kept), arrival.kept
                split = self.splits.get(arrival.url)
                new.append(_new_image(replace(kept, image=image or kept.image), row, split))
                status, reason = ("duplicate", HERE) if image else ("stored", arrival.reason)
                results.append(self._end(row, status, None, reason, image or kept.image))
        self.workspace.store.add_images(new)
        self.workspace.store.record_downloads([asdict(result) for result in results])

    def _here(self, kept: Kept) -> str | None:
        """The image that this file is already, if it is; else it is known from now on.

        A reduced copy of a picture that is here in another size is thrown away again: nothing refers to it.
        """
        names = [name for name in (kept.original_sha256, kept.image) if name]
        image = next((self.known[name] for name in names if name in self.known), None)
        if image is None:
            self.known |= dict.fromkeys(names, kept.image)
        elif kept.image not in self.known:
            self.workspace.image_file(kept.file).unlink(missing_ok=True)
        return image

    def _end(
        self, row: Mapping[str, Any], status: str, code: str | None, reason: str, image: str | None, again: bool = False
    ) -> Result:
        result = Result(row["url"], row["label"], status, code, reason, image, again)
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


def _new_image(kept: Kept, row: Mapping[str, Any], split: str | None) -> NewImage:
    return NewImage(
        id=kept.image,
        file=kept.file,
        bytes=kept.size,
        label=row["label"],
        provider=row["provider"],
        name=row["url"],
        original_sha256=kept.original_sha256,
        original_bytes=kept.original_bytes,
        split=split,
        **{name: row[name] for name in ("page_url", "licence", "licence_url", "creator", "query", "title")},
    )


# --- a file of URLs ------------------------------------------------------------------------------------------------


def _read_urls(file: Path) -> tuple[list[Link], tuple[str, ...]]:
    """The rows of a CSV file, and what is wrong with its other rows, by line number."""
    found = list(read_table(file, Labelling(), need=("url",)))
    problems = (f"{row.path.capitalize()}: {row.reason}" for row in found if isinstance(row, Refused))
    notes = (row.text for row in found if isinstance(row, Note))
    return [row for row in found if isinstance(row, Link)], (*notes, *problems)
