"""A web server on this machine that answers as a search service would, or refuses, or keeps silent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

LOGIN_PAGE = b"<!doctype html><html><title>Log in to the hotel's network</title></html>"


@dataclass(frozen=True)
class Answer:
    """What is sent back; ``silent``: nothing, until the server is closed."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False


@dataclass(frozen=True)
class Asked:
    """What came in."""

    path: str
    parameters: dict[str, str]
    headers: dict[str, str]


def sent(value: Any, status: int = 200, **headers: str) -> Answer:
    """``value`` as JSON; ``Retry_After="9"`` becomes the header Retry-After."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(json.dumps(value).encode(), status, {"Content-Type": "application/json", **named})


class ApiServer:
    """Serves ``answer(asked)`` while its ``with`` block lasts; ``asked`` are the requests so far."""

    def __init__(self, answer: Callable[[Asked], Answer] | Answer) -> None:
        self.answer = (lambda asked: answer) if isinstance(answer, Answer) else answer
        self.asked: list[Asked] = []
        self.closing = threading.Event()

    @property
    def host(self) -> str:
        """As in ``--allow-host``."""
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def __enter__(self) -> ApiServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._serve(self)

            def log_message(self, *_: Any) -> None:
                """Tests print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        asked = Asked(parts.path, dict(parse_qsl(parts.query)), {k.lower(): v for k, v in handler.headers.items()})
        self.asked.append(asked)
        answer = self.answer(asked)
        if answer.silent:
            self.closing.wait(30)
            return
        handler.send_response(answer.status)
        for name, text in answer.headers.items():
            handler.send_header(name, text)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)
