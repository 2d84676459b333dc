"""A stand-in of the Hugging Face Hub on 127.0.0.1: the part of its HTTP protocol that publishing a Space or a data set
needs, and (``data``) what reading data sets needs.

It keeps what it is given (``spaces``, ``datasets``, ``blobs``), notes every request (``requests``) and fails where it
is told to (``fail``). Repositories change by whole commits only, and content is checked against its SHA-256, as on the
real one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import yaml

from tests.support.hub_data import DataSide, Sent

USER = "ann"
TOKEN = "hf_StandInTokenThatMayWrite0123456789"
SDKS = ("gradio", "docker", "static")
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
SPACE = r"/api/spaces/(?P<repo>[^/]+/[^/]+)"
REPO = r"/api/(?P<kind>spaces|datasets)/(?P<repo>[^/]+/[^/]+)"


@dataclass
class Space:
    """One Space, or data set (without ``sdk``): ``commits`` holds the messages, ``files`` what the last commit left."""

    sdk: str
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    lfs: dict[str, str] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    hardware: str | None = None


@dataclass(frozen=True)
class Request:
    """What a client asked; ``authorized`` is whether it showed a token at all."""

    method: str
    path: str
    authorized: bool


@dataclass(frozen=True)
class Failure:
    """What to answer: a status with a message, or (``status`` 0) a connection that is cut."""

    status: int
    message: str = ""


@dataclass(frozen=True)
class Said:
    """An answer as it goes over the wire, whatever it is. ``length`` is what it says of its length (None: the truth);
    ``after_all``: what was asked for is done before it is sent.
    """

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    after_all: bool = False


class EventStream(str):
    """An answer that is a stream of server-sent events."""


class Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class HubStandIn:
    """``with HubStandIn() as hub:``; ``hub.url`` is its address, ``hub.environment`` sends a child process to it."""

    def __init__(self, token: str = TOKEN, user: str = USER) -> None:
        self.token, self.user = token, user
        self.spaces: dict[str, Space] = {}
        self.datasets: dict[str, Space] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.stages: list[str] = []
        self.log: list[str] = []
        self._failures: list[tuple[str, re.Pattern[str], Failure]] = []
        self._said: list[tuple[str, re.Pattern[str], Said]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.data = DataSide(self.url, token, self._written)
        self.environment = {"HF_ENDPOINT": self.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}

    def __enter__(self) -> HubStandIn:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(self, method: str, path: str, status: int, message: str = "") -> None:
        """From now on answer requests whose path holds the pattern ``path`` with ``status`` (0: cut the connection)."""
        self._failures.append((method, re.compile(path), Failure(status, message)))

    def say(self, method: str, path: str, said: Said) -> None:
        """From now on answer requests whose path holds the pattern ``path`` with ``said``."""
        self._said.append((method, re.compile(path), said))

    def said(self, method: str, path: str) -> Said | None:
        return next((said for m, pattern, said in self._said if m == method and pattern.search(path)), None)

    def recover(self) -> None:
        """Fail no more."""
        self._failures.clear()

    def failure(self, method: str, path: str) -> Failure | None:
        return next((f for m, pattern, f in self._failures if m == method and pattern.search(path)), None)

    def answer(self, method: str, path: str, body: bytes, authorization: str | None) -> Any:
        """What the hub says, as JSON. Raises Refused."""
        with self._lock:
            self.requests.append(Request(method, path, authorization is not None))
            for verb, pattern, action, needs_token in _ROUTES:
                match = re.fullmatch(pattern, path.split("?")[0])
                if verb == method and match:
                    if needs_token and authorization != f"Bearer {self.token}":
                        raise Refused(401, "Invalid credentials in Authorization header")
                    return action(self, body, **match.groupdict())
        raise Refused(404, f"no such address here: {method} {path}")

    def _written(self, repo: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and the files of a data set that was sent."""
        sent = self.datasets.get(repo)
        return None if sent is None else (_commit_id(sent), sent.files)

    def space(self, repo: str, kind: str = "spaces") -> Space:
        known = self.spaces if kind == "spaces" else self.datasets
        if repo not in known:
            raise Refused(404, "Repository not found", "RepoNotFound")
        return known[repo]


def _create(hub: HubStandIn, body: bytes) -> Any:
    asked = json.loads(body)
    repo = f"{asked['organization']}/{asked['name']}"
    if asked["organization"] != hub.user:
        raise Refused(403, f"You don't have the rights to create a space under the namespace “{asked['organization']}”")
    kind = asked["type"]
    if kind not in ("space", "dataset") or (kind == "space" and asked.get("sdk") not in SDKS):
        raise Refused(400, "sdk must be one of gradio, docker, static")
    url = {"url": f"{hub.url}/{kind}s/{repo}"}
    known = hub.spaces if kind == "space" else hub.datasets
    if repo in known:
        raise Refused(409, json.dumps({"error": f"You already created this {kind} repo", **url}))
    known[repo] = Space(asked.get("sdk", ""), asked.get("visibility") == "private", hardware=asked.get("hardware"))
    return url


def _validate_yaml(hub: HubStandIn, body: bytes) -> Any:
    match = re.match(r"---\r?\n(.*?)\r?\n---", json.loads(body)["content"], re.S)
    card = yaml.safe_load(match.group(1)) if match else {}
    errors = [
        {"message": f'"{key}" must be one of {", ".join(COLOURS)}'}
        for key in ("colorFrom", "colorTo")
        if card.get(key, "red") not in COLOURS
    ]
    if errors:
        raise Refused(400, json.dumps({"errors": errors, "warnings": []}))
    return {"errors": [], "warnings": []}


def _info(hub: HubStandIn, body: bytes, kind: str, repo: str) -> Any:
    space = hub.space(repo, kind)
    files = [{"rfilename": name} for name in space.files]
    return {"id": repo, "private": space.private, "sdk": space.sdk, "sha": _commit_id(space), "siblings": files}


def _runtime(hub: HubStandIn, body: bytes, repo: str) -> Any:
    """The next of ``hub.stages``; the last one stays. It runs at once where nothing was set."""
    hub.space(repo)
    stage = hub.stages.pop(0) if len(hub.stages) > 1 else (hub.stages or ["RUNNING"])[0]
    return {"stage": stage, "hardware": {"current": None, "requested": None}, "gcTimeout": None}


def _log(hub: HubStandIn, body: bytes, repo: str) -> Any:
    hub.space(repo)
    events = [{"data": f"{line}\n", "timestamp": "2026-01-01T00:00:00.000Z"} for line in hub.log]
    return EventStream("".join(f"data: {json.dumps(event)}\n\n" for event in events))


def _preupload(hub: HubStandIn, body: bytes, kind: str, repo: str) -> Any:
    space, answers = hub.space(repo, kind), []
    for file in json.loads(body)["files"]:
        binary = b"\0" in base64.b64decode(file["sample"]) or file["size"] > 10_000_000
        known = space.files.get(file["path"])
        oid = None if known is None else space.lfs.get(file["path"]) or _git_hash(known)
        mode = "lfs" if binary else "regular"
        answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return {"files": answers}


def _batch(hub: HubStandIn, body: bytes, kind: str, repo: str) -> Any:
    hub.space(repo, kind)
    objects = []
    for item in json.loads(body)["objects"]:
        upload, verify = f"{hub.url}/blobs/{item['oid']}?signature=1", f"{hub.url}/verify"
        actions = {"upload": {"href": upload, "header": {}}, "verify": {"href": verify}}
        objects.append({**item, **({} if item["oid"] in hub.blobs else {"actions": actions})})
    return {"transfer": "basic", "objects": objects}


def _store(hub: HubStandIn, body: bytes, oid: str) -> Any:
    if hashlib.sha256(body).hexdigest() != oid:
        raise Refused(400, "the content is not what its name says")
    hub.blobs[oid] = body
    return {}


def _verify(hub: HubStandIn, body: bytes) -> Any:
    asked = json.loads(body)
    if len(hub.blobs.get(asked["oid"], b"")) != asked["size"]:
        raise Refused(422, "size mismatch")
    return {}


def _commit(hub: HubStandIn, body: bytes, kind: str, repo: str) -> Any:
    space = hub.space(repo, kind)
    lines = [json.loads(line) for line in body.splitlines()]
    files, lfs = dict(space.files), dict(space.lfs)
    for line in lines[1:]:
        value = line["value"]
        path = value["path"]
        if line["key"] == "file":
            files[path] = base64.b64decode(value["content"])
            lfs.pop(path, None)
        elif line["key"] == "lfsFile" and value["oid"] in hub.blobs:
            files[path], lfs[path] = hub.blobs[value["oid"]], value["oid"]
        elif line["key"] == "deletedFile" and path in files:
            del files[path]
            lfs.pop(path, None)
        else:
            raise Refused(400, f"cannot commit {line['key']} {path}")
    space.files, space.lfs = files, lfs
    space.commits.append(lines[0]["value"]["summary"])
    oid = _commit_id(space)
    return {"commitUrl": f"{hub.url}/{kind}/{repo}/commit/{oid}", "commitOid": oid}


_ROUTES = (
    ("POST", "/api/repos/create", _create, True),
    ("POST", "/api/validate-yaml", _validate_yaml, False),
    ("GET", REPO, _info, True),
    ("GET", REPO + "/revision/main", _info, True),
    ("GET", SPACE + "/runtime", _runtime, True),
    ("GET", SPACE + "/logs/(?:run|build)", _log, True),
    ("POST", REPO + "/preupload/main", _preupload, True),
    ("POST", r"/(?P<kind>spaces|datasets)/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", _batch, True),
    ("PUT", "/blobs/(?P<oid>[0-9a-f]{64})", _store, False),
    ("POST", "/verify", _verify, True),
    ("POST", REPO + "/commit/main", _commit, True),
)


def _commit_id(space: Space) -> str:
    return hashlib.sha1(json.dumps(space.commits).encode()).hexdigest()


def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _handler(hub: HubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self._body()
            failure = hub.failure(self.command, self.path)
            if failure is not None and failure.status == 0:
                self.close_connection = True
                return
            said = hub.said(self.command, self.path)
            try:
                if said is not None:
                    if said.after_all:
                        hub.answer(self.command, self.path, body, self.headers["Authorization"])
                    self._say(said)
                    return
                if failure is not None:
                    raise Refused(failure.status, failure.message)
                if (sent := hub.data.answer(self.command, self.path, self.headers)) is not None:
                    hub.requests.append(Request(self.command, self.path, "Authorization" in self.headers))
                    self._give(sent)
                    return
                answer = hub.answer(self.command, self.path, body, self.headers["Authorization"])
                self._send(200, answer if isinstance(answer, EventStream) else json.dumps(answer))
            except Refused as refused:
                text = refused.message if refused.message.startswith("{") else json.dumps({"error": refused.message})
                self._send(refused.status, text, refused.code)

        do_GET = do_HEAD = do_POST = do_PUT = _serve

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                return b"".join(self._chunks())
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _say(self, said: Said) -> None:
            self.send_response(said.status)
            for name, value in said.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body) if said.length is None else said.length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            if self.command != "HEAD":
                self.wfile.write(said.body)

        def _give(self, sent: Sent) -> None:
            self.send_response(sent.status)
            for name, value in sent.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(sent.body[: sent.cut])
            self.close_connection = self.close_connection or sent.cut is not None

        def _send(self, status: int, text: str, code: str = "") -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if code:
                self.send_header("X-Error-Code", code)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing on the terminal; ``hub.requests`` has it."""

    return Handler


@contextmanager
def closed_port() -> Iterator[str]:
    """An address on 127.0.0.1 at which nothing listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.server_close()
    yield f"http://127.0.0.1:{server.server_address[1]}"
