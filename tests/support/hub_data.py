"""Data sets on the stand-in of the hub: what it says of them, their files page by page, and the files themselves.

A file of more than ``LARGE`` bytes is a large one (LFS): it is sent from another address, to which the hub leads. Parts
of files are sent where they are asked for. ``DataRepo.cut`` makes the sending of a file end after so many bytes, once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.collect.features import front_matter

LARGE = 2000
PAGE = 3
REPO = r"(?P<repo>[^/]+/[^/]+)"
ROUTES = (
    (re.compile(rf"/api/datasets/{REPO}(?:/revision/(?P<revision>[^/]+))?"), "info"),
    (re.compile(rf"/api/datasets/{REPO}/tree/(?P<revision>[^/]+)"), "tree"),
    (re.compile(rf"/datasets/{REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)"), "resolve"),
    (re.compile(r"/cdn/(?P<oid>[0-9a-f]{64})"), "large"),
)


@dataclass
class DataRepo:
    """A data set: revision -> path -> content. ``moved``: the content of main from the next time on that its commit is
    asked for; ``sent``: path -> what is sent in its place; ``needs``: private or gated.
    """

    revisions: dict[str, dict[str, bytes]]
    moved: dict[str, bytes] | None = None
    sent: dict[str, bytes] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    needs: str = ""
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, revision: str) -> str | None:
        """The commit that a revision is, or is at the moment."""
        if revision in self.commits:
            return revision
        files = self.revisions.get(revision)
        if files is None:
            return None
        told = json.dumps({path: hashlib.sha1(data).hexdigest() for path, data in files.items()}, sort_keys=True)
        made = hashlib.sha1(told.encode()).hexdigest()
        self.commits[made] = files
        return made


@dataclass(frozen=True)
class Sent:
    """An answer: ``cut`` is after how many bytes the connection ends."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None


def repo_of(folder: Path) -> DataRepo:
    """The files of a folder as a data set."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return DataRepo({"main": files})


@dataclass
class DataSide:
    """The part of the hub that data sets are read from; ``written`` finds the commit and the files of one that was sent
    to its other part, which says what it is itself.
    """

    url: str
    token: str
    written: Callable[[str], tuple[str, dict[str, bytes]] | None]
    repos: dict[str, DataRepo] = field(default_factory=dict)

    @property
    def elsewhere(self) -> str:
        """Another host, from where large files come."""
        return self.url.replace("127.0.0.1", "localhost")

    def answer(self, method: str, path: str, headers: Mapping[str, str]) -> Sent | None:
        """What is said to a request about data sets; None where it is about something else."""
        if method not in ("GET", "HEAD"):
            return None
        for pattern, name in ROUTES:
            if (found := pattern.fullmatch(urlsplit(path).path)) is not None:
                told = {key: unquote(value) for key, value in found.groupdict().items() if value is not None}
                if (sent := self.written(told.get("repo", ""))) is not None:
                    if name == "info":
                        return None
                    self.repos[told["repo"]] = DataRepo({"main": sent[1]}, commits={sent[0]: sent[1]})
                return self._answered(name, told, path, headers)
        return None

    def _answered(self, name: str, told: dict[str, str], path: str, headers: Mapping[str, str]) -> Sent:
        if name == "large":
            blob = next(
                (data, repo, place)
                for repo in self.repos.values()
                for files in repo.commits.values()
                for place, data in files.items()
                if hashlib.sha256(data).hexdigest() == told["oid"]
            )
            return _part(*blob, headers)
        shown = headers.get("Authorization")
        if shown is not None and shown != f"Bearer {self.token}":
            return _refused(401, "Invalid credentials in Authorization header", "")
        repo = self.repos.get(told["repo"])
        if repo is None or (repo.needs == "private" and shown is None):
            return _refused(404 if shown else 401, "Repository not found", "RepoNotFound")
        if repo.needs == "gated" and name != "info":
            return _refused(403 if shown else 401, "Access to this dataset is restricted", "GatedRepo")
        revision = told.get("revision", "main")
        commit = repo.commit(revision)
        if commit is None:
            return _refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        if repo.moved is not None and name == "info" and revision == "main":
            repo.revisions["main"], repo.moved = repo.moved, None
        answer: Sent = getattr(self, f"_{name}")(repo, commit, told, path, headers)
        return answer

    def _info(self, repo: DataRepo, commit: str, told: dict[str, str], *_: object) -> Sent:
        files = repo.commits[commit]
        card = dict(front_matter(files.get("README.md", b"").decode()))
        siblings = [{"rfilename": path} for path in files]
        said = {"id": told["repo"], "sha": commit, "private": False, "cardData": card, "siblings": siblings}
        return _json(said)

    def _tree(self, repo: DataRepo, commit: str, told: dict[str, str], path: str, *_: object) -> Sent:
        entries: list[dict[str, Any]] = [
            {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder}
            for folder in sorted({place.rpartition("/")[0] for place in repo.commits[commit]} - {""})
        ]
        for place, data in repo.commits[commit].items():
            entry: dict[str, Any] = {"type": "file", "oid": _blob(data), "size": len(data), "path": place}
            if len(data) > LARGE:
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            entries.append(entry)
        start = int(parse_qs(urlsplit(path).query).get("cursor", ["0"])[0])
        more = f"{self.url}{urlsplit(path).path}?recursive=true&cursor={start + PAGE}"
        link = (("Link", f'<{more}>; rel="next"'),) if start + PAGE < len(entries) else ()
        return _json(entries[start : start + PAGE], *link)

    def _resolve(
        self, repo: DataRepo, commit: str, told: dict[str, str], path: str, headers: Mapping[str, str]
    ) -> Sent:
        data = repo.commits[commit].get(told["path"])
        if data is None:
            return _refused(404, "Entry not found", "EntryNotFound")
        about = [("X-Repo-Commit", commit)]
        if len(data) <= LARGE:
            whole = _part(data, repo, told["path"], headers)
            return Sent(whole.body, whole.status, (*whole.headers, *about, ("ETag", f'"{_blob(data)}"')), whole.cut)
        oid = hashlib.sha256(data).hexdigest()
        about += [("X-Linked-Size", str(len(data))), ("X-Linked-ETag", f'"{oid}"'), ("ETag", f'"{_blob(data)}"')]
        return Sent(b"", 302, (*about, ("Location", f"{self.elsewhere}/cdn/{oid}")))


def _part(data: bytes, repo: DataRepo, path: str, headers: Mapping[str, str]) -> Sent:
    data = repo.sent.get(path, data)
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("Range") or "")
    if asked is None:
        return Sent(data, 200, (("Accept-Ranges", "bytes"),), repo.cut.pop(path, None))
    start = int(asked[1])
    end = min(int(asked[2]) if asked[2] else len(data) - 1, len(data) - 1)
    span = (("Content-Range", f"bytes {start}-{end}/{len(data)}"),)
    return Sent(data[start : end + 1], 206, span, repo.cut.pop(path, None))


def _json(value: Any, *headers: tuple[str, str]) -> Sent:
    return Sent(json.dumps(value).encode(), 200, (("Content-Type", "application/json"), *headers))


def _refused(status: int, message: str, code: str) -> Sent:
    told = (("X-Error-Message", message), *((("X-Error-Code", code),) if code else ()))
    return Sent(json.dumps({"error": message}).encode(), status, told)


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
