"""A small web server for the tests: pages as bytes or as functions, and notes of who asked for what."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pipeline.web.fetch import Client, FetchLimits
from pipeline.web.responses import CODES, NotFetched

Answer = Callable[[socket.socket, int], None] | bytes


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = "".join(f"{line}\r\n" for line in (f"Content-Length: {len(body)}", *headers))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


class Site(socketserver.ThreadingTCPServer):
    """A server on 127.0.0.1. A page is the bytes to send, or a function (connection, how often it was asked)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, pages: dict[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages, self.heads = pages, []
        self.hits: dict[str, list[float]] = {}
        self.busy = self.peak = self.connections = 0
        self.lock = threading.Lock()
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.stopped = threading.Event()

    def fetch(self, path: str, **limits: Any) -> bytes:
        return self.fetch_all([path], **limits)[0]

    def fetch_all(self, paths: list[str], **limits: Any) -> list[bytes]:
        async def go() -> list[bytes]:
            async with Client(FetchLimits(**limits), (self.host,)) as client:
                return list(await asyncio.gather(*(client(f"http://{self.host}{path}") for path in paths)))

        return asyncio.run(go())

    def refusal(self, path: str, **limits: Any) -> NotFetched:
        with pytest.raises(NotFetched) as raised:
            self.fetch(path, **limits)
        assert raised.value.code in CODES and str(raised.value)
        return raised.value


class _Handler(socketserver.BaseRequestHandler):
    server: Site

    def handle(self) -> None:
        site = self.server
        with site.lock:
            site.connections += 1
        while head := self._head():
            path = head.split(" ")[1]
            with site.lock:
                site.heads.append(head)
                site.hits.setdefault(path, []).append(time.monotonic())
                site.busy += 1
                site.peak = max(site.peak, site.busy)
            page = site.pages.get(path, reply(b"no", status="404 Not Found"))
            try:
                if isinstance(page, bytes):
                    self.request.sendall(page)
                else:
                    page(self.request, len(site.hits[path]))
            except OSError:
                return
            finally:
                with site.lock:
                    site.busy -= 1

    def _head(self) -> str:
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                more = self.request.recv(4096)
                if not more:
                    return ""
                data += more
        except OSError:
            return ""
        return data.decode("latin-1")


@contextmanager
def running(pages: dict[str, Answer] | None = None) -> Iterator[Site]:
    with Site(pages or {}) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.stopped.set()
        server.shutdown()
