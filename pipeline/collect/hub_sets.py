"""Data sets from Hugging Face's hub (hf:owner/name@revision/config): which files are needed, and their fetching."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.collect.apart import ArchiveLimits, Watch, apart
from pipeline.collect.entries import MAX_ENTRIES
from pipeline.collect.features import Config, configs_of, examples_of, front_matter
from pipeline.collect.hub_worker import CONVERTED, PAPERS, HubFile, Listed, Problem, fetched, listed
from pipeline.collect.listings import TABLE_SUFFIXES
from pipeline.collect.reading import few, number
from pipeline.collect.ready_made import size_in_words
from pipeline.collect.shard_files import SHARD_SUFFIXES, ShardFiles, split_of_place
from pipeline.errors import NetworkError, SourceError, UsageError
from pipeline.images.formats import PICTURE_SUFFIXES
from pipeline.safe_text import on_one_line
from pipeline.stage import Progress, Stage

PREFIX = "hf:"
ADDRESS = re.compile(r"(?:hf://datasets/|https://huggingface\.co/datasets/)(.+)", re.I)
NAME = r"[A-Za-z0-9_][\w.-]{0,95}"
ASKED = re.compile(
    rf"(?P<repo>{NAME}/{NAME})(?:@(?P<revision>refs/(?:convert|pr)/[\w.-]+|[\w.-]+))?(?:/(?P<config>[^/\\]{{1,100}}))?/?",
    re.ASCII,
)
PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")
TABLE_BYTES = 64 << 20
# What a dry run fetches to see how a set is read.
LOOK_BYTES, LOOK_FILES = 300 << 20, 60
LISTING_SECONDS = 90.0
MOST_WORDS = 100


@dataclass(frozen=True)
class HubSet:
    """A data set of the hub; ``revision`` and ``config`` are None where nobody says them."""

    repo: str
    revision: str | None = None
    config: str | None = None


@dataclass(frozen=True)
class DataHub:
    """The hub: it is the one that HF_ENDPOINT names, or Hugging Face's."""

    limits: ArchiveLimits = field(default_factory=ArchiveLimits)


@dataclass(frozen=True)
class HubFiles:
    """A data set, or a part of it, in ``folder``; ``notes`` say what it is, and how much of it was fetched."""

    folder: Path
    url: str
    provider: str
    licence: str | None
    notes: tuple[str, ...]


def hub_set(source: str) -> HubSet | None:
    """The data set of the hub that ``source`` means; None where it means something else. Raises UsageError where it
    begins as one and names none.
    """
    text = source.strip()
    address = ADDRESS.fullmatch(text)
    if address is None and not text.lower().startswith(PREFIX):
        return None
    named = re.sub("/tree/", "@", address[1]) if address is not None else text[len(PREFIX) :].strip()
    found = ASKED.fullmatch(named)
    if found is None or ".." in named:
        raise UsageError(
            f"'{on_one_line(text, MOST_WORDS)}' names no data set of Hugging Face. Write hf:OWNER/NAME, and perhaps a "
            "revision and a configuration: hf:OWNER/NAME@REVISION/CONFIGURATION."
        )
    return HubSet(found["repo"], found["revision"], found["config"])


def fetch_hub_set(
    asked: HubSet, place: Path, most: int | None, look: bool, hub: DataHub | None = None
) -> Stage[HubFiles]:
    """The files of a data set that hold its pictures, or as many as hold ``most`` of them, in a folder below ``place``;
    with ``look`` only enough to see how it is read. What is there already is not fetched again; other sets in ``place``
    are forgotten.

    Raises NetworkError where it cannot be had, SourceError where it holds no pictures or there is no room.
    """
    fetching = _Fetching(asked, place, hub or DataHub())
    yield from fetching.list()
    plan = fetching.plan()
    _check_count(asked, plan, most)
    yield from fetching.fetch(plan, most, look)
    return fetching.result(plan, most, look)


@dataclass(frozen=True)
class _Plan:
    """What of a set is needed: ``data`` holds the pictures, ``beside`` is always fetched. ``rows``: whether data are
    files of rows. ``examples``: how many pictures its card says that it has (0: it does not say).
    """

    data: tuple[HubFile, ...]
    beside: tuple[HubFile, ...]
    rows: bool
    notes: tuple[str, ...] = ()
    examples: int = 0

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(file.size for file in (*self.data, *self.beside))

    def words(self) -> str:
        """How much it is."""
        return f"{number(len(self.data) + len(self.beside), 'file')}, {size_in_words(self.size)}"


class _Fetching:
    """One data set on its way."""

    def __init__(self, asked: HubSet, place: Path, hub: DataHub) -> None:
        self.asked, self.place, self.hub = asked, place, hub
        self.found = Listed("", (), "")
        self.card: Mapping[str, Any] = {}
        self.came: set[str] = set()

    @property
    def folder(self) -> Path:
        """Where it is put."""
        return self.place / self.found.commit

    def list(self) -> Stage[None]:
        """See what it holds; where it has no pictures itself, what the hub made of it."""
        self.place.mkdir(parents=True, exist_ok=True)
        yield from self._listed(self.asked.revision)
        if self.asked.revision is None and not _kinds(self.found.files):
            card, url = self.card, self.found
            try:
                yield from self._listed(CONVERTED)
            except _Missing:
                self.found = url
            self.card = self.card or card
        for other in self.place.iterdir():
            if other.name != self.found.commit:
                shutil.rmtree(other, ignore_errors=True)

    def _listed(self, revision: str | None) -> Stage[None]:
        answer = yield from self._apart(
            listed, (self.asked.repo, revision, str(self.place)), "Looking it up", LISTING_SECONDS
        )
        self.found = answer
        card = next((file for file in answer.files if file.path.lower() == "readme.md"), None)
        text = (self.folder / card.path).read_text("utf-8", "replace") if card is not None and self._has(card) else ""
        self.card = front_matter(text)

    def _has(self, file: HubFile) -> bool:
        return (self.folder / file.path).is_file()

    def _apart(self, function: Any, arguments: tuple[Any, ...], note: str, seconds: float, size: int = 0) -> Stage[Any]:
        """What a process that asks the hub answers. Raises NetworkError."""
        limits = self.hub.limits
        watch = Watch(ArchiveLimits(min(limits.seconds, seconds), limits.least_bytes) if not size else limits)
        repo = self.asked.repo

        def beat(told: Any) -> Progress:
            come = (told or 0) + (_on_the_way(self.folder) if size else 0)
            if watch.has_stalled(come):
                raise NetworkError(
                    f"Hugging Face sends nothing, or next to nothing, of {repo} any more. Import again later."
                )
            return Progress(min(come, size), size, f"{note}: {repo}")

        answer = yield from apart(function, arguments, beat)
        if isinstance(answer, Problem):
            raise (_Missing if answer.missing else NetworkError)(answer.words)
        if answer is None:
            raise NetworkError(f"The process that fetches {repo} has ended. Import again.")
        return answer

    # --- which files

    def plan(self) -> _Plan:
        """What of it is needed. Raises SourceError where it has no pictures, or no such configuration."""
        files, asked = self.found.files, self.asked
        notes: list[str] = []
        configs = configs_of(self.card)
        names = [one.name for one in configs] or sorted(_config_folders(files))
        chosen = _config(asked, configs, names)
        if chosen is not None:
            files = tuple(file for file in files if _is_of(file, chosen, configs))
            others = [name for name in names if name != chosen]
            if others and asked.config is None:
                notes.append(
                    f"{asked.repo} has {number(len(names), 'configuration')}; '{chosen}' was taken. Others: "
                    f"{few(others, 10)} ({PREFIX}{asked.repo}/{others[0]})."
                )
        kinds = _kinds(files)
        if not kinds:
            has = Counter(PurePosixPath(file.path).suffix or PurePosixPath(file.path).name for file in self.found.files)
            listed_kinds = few([f"{kind} ({count:,})" for kind, count in has.most_common(8)], 8)
            raise SourceError(
                f"{asked.repo} has no Parquet files, pictures or archives (it has: {listed_kinds or 'nothing'}). A "
                "program that comes with a data set is never run here."
            )
        rows = SHARD_SUFFIXES[0] in kinds
        data = tuple(file for file in files if _kind(file) in kinds)
        tables = () if rows else tuple(file for file in files if _kind(file) == "table" and file.size <= TABLE_BYTES)
        return _Plan(data, tables, rows, tuple(notes), examples_of(self.card, chosen))

    # --- fetching

    def fetch(self, plan: _Plan, most: int | None, look: bool) -> Stage[None]:
        """Fetch what is needed."""
        if look:
            yield from self._get(_some(plan), plan)
        elif most is None or not plan.rows:
            data = plan.data if most is None else _spread(plan.data, most)
            yield from self._get((*plan.beside, *data), plan)
        else:
            yield from self._until(plan, most)

    def _until(self, plan: _Plan, most: int) -> Stage[None]:
        """Files of each split in turn, until they have as many rows as the split has a share in all bytes."""
        files = ShardFiles(max((file.size for file in plan.data), default=0))
        for shards in _by_split(plan.data).values():
            share = max(1, round(most * sum(file.size for file in shards) / max(plan.size, 1)))
            for shard in shards:
                if share <= 0:
                    break
                yield from self._get((shard,), plan)
                try:
                    share -= files.look(self.folder / shard.path).rows
                except SourceError:  # reading it says what is wrong with it
                    continue

    def _get(self, files: Sequence[HubFile], plan: _Plan) -> Stage[None]:
        wanted = [file for file in files if file.path not in self.came]
        size = sum(file.size for file in wanted)
        _check_room(self.place, size - sum(file.size for file in wanted if self._has(file)))
        arguments = (self.asked.repo, self.found.commit, wanted, str(self.folder))
        note = f"Fetching {number(len(wanted), 'file')}, {size_in_words(size)}, of {plan.words()}"
        if wanted:
            yield from self._apart(fetched, arguments, note, self.hub.limits.seconds, max(size, 1))
        self.came.update(file.path for file in wanted)

    def result(self, plan: _Plan, most: int | None, look: bool) -> HubFiles:
        """What came, and what is to be known of it; what is of another configuration goes."""
        papers = {file.path for file in self.found.files if plan.rows and file.path.lower() in PAPERS}
        for there in [path for path in self.folder.rglob("*") if path.is_file()]:
            if there.relative_to(self.folder).as_posix() not in self.came | papers:
                there.unlink(missing_ok=True)
        repo, commit = self.asked.repo, self.found.commit
        licence = _licence(self.card)
        name = self.card.get("pretty_name")
        called = f" ({on_one_line(name, MOST_WORDS)})" if isinstance(name, str) and name.strip() else ""
        said = f"its card says the licence {licence}" if licence else "its card says no licence"
        notes = [f"{repo}{called} at commit {commit[:12]}: {plan.words()}; {said}. {self.found.url}"]
        got = [file for file in (*plan.data, *plan.beside) if file.path in self.came]
        if len(got) < len(plan.data) + len(plan.beside):
            part = (
                f"{number(len(got), 'file was', 'files were')} fetched, {size_in_words(sum(one.size for one in got))}"
            )
            why = "to see how it is read: the counts are of these" if look else f"for --max {most:,}"
            notes.append(f"{part}, {why}.")
        return HubFiles(self.folder, self.found.url, f"{PREFIX}{repo}@{commit[:12]}", licence, (*notes, *plan.notes))


class _Missing(NetworkError):
    """There is no such revision."""


def _on_the_way(folder: Path) -> int:
    """Bytes of files that are not whole yet."""
    total = 0
    for place, _, names in os.walk(folder / ".cache"):  # what goes meanwhile is passed over
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(place, name)).st_size if name.endswith(".incomplete") else 0  # noqa: PTH116, PTH118
    return total


def _check_count(asked: HubSet, plan: _Plan, most: int | None) -> None:
    if most is None and plan.examples > MAX_ENTRIES:
        raise SourceError(
            f"{asked.repo} has {plan.examples:,} pictures ({plan.words()}), and {MAX_ENTRIES:,} are allowed at once. "
            "Say how many you want: --max, or “Pictures at most” in the Collect tab."
        )


def _check_room(place: Path, size: int) -> None:
    free = shutil.disk_usage(place).free
    if free < 2 * size:
        raise SourceError(
            f"{size_in_words(size)} have to be fetched, and the pictures need about as much again; {place} has room "
            f"for {size_in_words(free)}. Free some space, keep the workspace on another disk, or take fewer (--max)."
        )


def _licence(card: Mapping[str, Any]) -> str | None:
    said = card.get("license") or card.get("licence")
    if said == "other" and isinstance(card.get("license_name"), str):
        said = card["license_name"]
    words = ", ".join(map(str, said)) if isinstance(said, list) else said if isinstance(said, str) else ""
    return on_one_line(words, MOST_WORDS).strip() or None


# --- files --------------------------------------------------------------------------------------------------------


def _kind(file: HubFile) -> str:
    """``.parquet`` for all files of rows, ``picture``, ``archive``, ``table``, or nothing."""
    path = PurePosixPath(file.path)
    suffix = path.suffix.lower()
    if any(part.startswith(".") for part in path.parts):
        return ""
    if suffix in SHARD_SUFFIXES:
        return SHARD_SUFFIXES[0]
    if suffix in PICTURE_SUFFIXES:
        return "picture"
    if suffix in PACKED:
        return "archive" if suffix not in PACKED[3:] or ".tar" in path.name.lower() else ""
    return "table" if suffix in (*TABLE_SUFFIXES, ".json", ".xml", ".txt") else ""


def _kinds(files: Sequence[HubFile]) -> frozenset[str]:
    """Which kinds of files hold the pictures: those of rows, or else pictures and archives."""
    there = {_kind(file) for file in files}
    pictures = frozenset(there & {"picture", "archive"})
    shards = [file for file in files if _kind(file) == SHARD_SUFFIXES[0]]
    if shards and not (pictures and all(PurePosixPath(file.path).stem == "metadata" for file in shards)):
        return frozenset((SHARD_SUFFIXES[0],))
    return pictures


def _config_folders(files: Sequence[HubFile]) -> set[str]:
    """Configurations as the hub's own conversion lays them out: configuration/split/0000.parquet."""
    paths = [PurePosixPath(file.path) for file in files if _kind(file) == SHARD_SUFFIXES[0]]
    if not all(len(path.parts) == 3 and split_of_place(PurePosixPath(path.parts[1])) for path in paths):
        return set()
    return {path.parts[0] for path in paths}


def _config(asked: HubSet, configs: Sequence[Config], names: Sequence[str]) -> str | None:
    """The configuration that is wanted, or the one to be taken where there are some. Raises SourceError."""
    if asked.config is not None:
        if names and asked.config not in names:
            raise SourceError(f"{asked.repo} has no configuration '{asked.config}'. It has: {few(names, 20)}.")
        return asked.config
    defaults = [one.name for one in configs if one.default]
    return next(iter([*defaults, *(name for name in names if name == "default"), *names]), None)


def _is_of(file: HubFile, config: str, configs: Sequence[Config]) -> bool:
    """Whether a file belongs to a configuration: as its card says, or else by its folder."""
    told = next((one for one in configs if one.name == config), None)
    if told is not None and told.files:
        return any(fnmatch.fnmatchcase(file.path, pattern.removeprefix("./")) for _, pattern in told.files)
    return config in PurePosixPath(file.path).parts[:-1] or (told is not None and not told.files)


def _by_split(files: Sequence[HubFile]) -> dict[str | None, list[HubFile]]:
    found: dict[str | None, list[HubFile]] = {}
    for file in files:
        found.setdefault(split_of_place(PurePosixPath(file.path)), []).append(file)
    return found


def _some(plan: _Plan) -> tuple[HubFile, ...]:
    """Enough to see how a set is read: the smallest file of rows of each split; or some pictures of each folder, and
    small archives.
    """
    if plan.rows:
        likely: Iterator[HubFile] = iter(
            min(shards, key=lambda one: one.size) for shards in _by_split(plan.data).values()
        )
    else:
        likely = iter((*plan.beside, *_spread(plan.data, LOOK_FILES)))
    chosen: list[HubFile] = []
    left = LOOK_BYTES
    for file in likely:
        if file.size <= left:
            chosen.append(file)
            left -= file.size
    if not set(chosen) & set(plan.data):  # all of them are large
        chosen.append(min(plan.data, key=lambda one: one.size))
    return tuple(chosen)


def _spread(files: Sequence[HubFile], most: int) -> list[HubFile]:
    """At most so many pictures, from all folders in turn, and all archives."""
    archives = [file for file in files if _kind(file) == "archive"]
    folders: dict[PurePosixPath, list[HubFile]] = {}
    for file in files:
        if _kind(file) == "picture":
            folders.setdefault(PurePosixPath(file.path).parent, []).append(file)
    chosen: list[HubFile] = []
    turn = 0
    while len(chosen) < most and (here := [files[turn] for files in folders.values() if turn < len(files)]):
        chosen += here[: most - len(chosen)]
        turn += 1
    return archives + chosen
