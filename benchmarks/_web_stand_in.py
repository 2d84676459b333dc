"""A stand-in for the web on this machine: many hosts (127.0.1.x), 30 ms to answer, some of them faulty.

Every answer has an end: a stalled one hangs up after STALL_SECONDS.
"""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import random
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image

from pipeline.collect.starter_set import write_starter

HOSTS = 16
LATENCY_SECONDS = 0.03
STALL_SECONDS = 20.0
FAULTS = {"missing": 0.05, "stalled": 0.025, "page": 0.02, "moved": 0.067, "again": 0.15}
HEAD = "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n"


def pictures(folder: Path, side: int, number: int) -> list[bytes]:
    """``number`` different JPEG files, ``side`` pixels wide and high, made of photographs of the starter set."""
    files = sorted(write_starter(folder).rglob("*.jpg"))
    bodies = []
    for count in range(number):
        with Image.open(files[count % len(files)]) as photograph:
            image = photograph.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        image.paste((count % 256, count // 256 % 256, 128), (0, 0, 32, 32))  # so that no two are the same picture
        target = io.BytesIO()
        image.save(target, "JPEG", quality=88)
        bodies.append(target.getvalue())
    return bodies


def paths(number: int, faulty: bool) -> list[str]:
    """What to ask for: one path a picture, some of them faulty in one of the ways of FAULTS, always the same ones."""
    draw = random.Random(7)
    kinds = []
    for _ in range(number):
        chance, kind = draw.random(), "picture"
        for name, share in FAULTS.items() if faulty else ():
            if chance < share:
                kind = name
                break
            chance -= share
        kinds.append(kind)
    return [f"/{kind}/{count}.jpg" for count, kind in enumerate(kinds)]


class _Site:
    def __init__(self, bodies: list[bytes]) -> None:
        self.bodies = bodies

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await asyncio.sleep(LATENCY_SECONDS)
                if not await self._answer(head.split(" ", 2)[1], writer):
                    return
                await writer.drain()
                if "connection: close" in head.lower() or "HTTP/1.0" in head:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client hung up, or the stand-in ends
        finally:
            writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> bool:
        kind, number = path.strip("/").split("/")
        count = int(number.removesuffix(".jpg"))
        body, status, content, more = self.bodies[count % len(self.bodies)], "200 OK", "image/jpeg", ""
        if kind == "stalled":
            await asyncio.sleep(STALL_SECONDS)
            return False
        if kind == "missing":
            body, status, content = b"<h1>Not found</h1>", "404 Not Found", "text/html"
        elif kind == "page":
            body, content = b"<!doctype html><title>Sorry</title><p>Log in to see this picture.</p>", "text/html"
        elif kind == "moved":
            body, status, more = b"", "302 Found", f"Location: /picture/{count}.jpg\r\n"
        elif kind == "again":
            body = self.bodies[0]
        writer.write(HEAD.format(status=status, kind=content, length=len(body), more=more).encode() + body)
        return True


def _run(channel: Connection, bodies: list[bytes]) -> None:
    async def main() -> None:
        site = _Site(bodies)
        first = await asyncio.start_server(site.serve, "127.0.1.1", 0)
        port = first.sockets[0].getsockname()[1]
        for host in range(2, HOSTS + 1):
            await asyncio.start_server(site.serve, f"127.0.1.{host}", port)
        channel.send(port)
        await asyncio.get_running_loop().run_in_executor(None, channel.poll, 3_600)

    asyncio.run(main())


@contextmanager
def standing_in(bodies: list[bytes]) -> Iterator[list[str]]:
    """While the context lasts, the hosts of the stand-in answer; they are given as ``127.0.1.x:port``."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_run, args=(theirs, bodies), daemon=True)
    process.start()
    try:
        port = ours.recv()
        yield [f"127.0.1.{host}:{port}" for host in range(1, HOSTS + 1)]
    finally:
        ours.send("stop")
        process.join(5)
        process.kill()
