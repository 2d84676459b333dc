"""Downloads under fire: a server that misbehaves in every way it can, and kill -9 at random moments."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.workspace.workspace import Workspace
from tests.support.killing import KILL_LOOP, killed_again_and_again
from tests.support.paths import ROOT, SHARED
from tests.support.sharing import Sample
from tests.support.site import Answer, Site, reply

HOSTILE_SERVER, CORPUS = SHARED / "hostile_server.py", SHARED / "corpus"


@pytest.mark.slow
@pytest.mark.skipif(not HOSTILE_SERVER.is_file(), reason=f"there is no {HOSTILE_SERVER.name} beside the repository")
@pytest.mark.parametrize("more", [(), ("--corpus", str(CORPUS / "truth_dev.csv"))], ids=["server", "corpus"])
def test_the_hostile_server_is_survived_without_touching_its_canary(
    tmp_path: Path, more: tuple[str, ...], sampled: Sample
) -> None:
    command = [sys.executable, str(HOSTILE_SERVER), "--seconds", "300", "--no-external", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as server:
        assert server.stdout
        try:
            base = json.loads(server.stdout.readline())["url"]
            entries = _json(f"{base}/manifest.json")["entries"]
            assert len(entries) >= 158
            entries = sampled.of(entries, lambda entry: str(entry["id"]))
            file = tmp_path / "urls.csv"
            with file.open("w", newline="") as lines:
                csv.writer(lines).writerows([("url", "label"), *((entry["url"], "thing") for entry in entries)])
            asked = [
                "download",
                str(tmp_path / "ws"),
                "--urls",
                str(file),
                "--allow-host",
                base.removeprefix("http://"),
            ]
            done = subprocess.run(
                [sys.executable, "cli.py", *asked, "--json"], cwd=ROOT, capture_output=True, text=True, check=True
            )
            results = {result["url"]: result for result in json.loads(done.stdout)["results"]}
            (tmp_path / "results.json").write_text(json.dumps(_for_the_grader(entries, results)))
            grading = [sys.executable, str(HOSTILE_SERVER), "--grade", str(tmp_path / "results.json"), "--url", base]
            graded = subprocess.run(grading, capture_output=True, text=True, check=False).stdout
            assert _json(f"{base}/log.json")["canary_hits"] == []
        finally:
            server.terminate()
    failed = [line for line in graded.splitlines() if line.startswith("FAIL")]
    # The corpus was judged by a Pillow that reads no HEIC; we do, where it is whole.
    failed = [line for line in failed if not re.search(r"\.hei[cf] - expected fail, got ok", line)]
    wrong = [line for line in failed if sampled.everything or not line.endswith(" - no result")]
    assert len(results) == len({entry["url"] for entry in entries}) and not wrong, graded


def _for_the_grader(entries: list[dict[str, Any]], results: dict[str, Any]) -> dict[str, Any]:
    words = {"stored": "ok", "duplicate": "ok", "failed": "fail", "skipped": "skip"}
    ended = {entry["id"]: results[entry["url"]] for entry in entries}
    return {
        name: {
            "status": words[result["status"]],
            "reason": result["code"],
            "sha256": result["sha256"],
            "duplicate_of": "another" if result["status"] == "duplicate" else None,
        }
        for name, result in ended.items()
    }


def _json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


# --- kill -9 -------------------------------------------------------------------------------------------------------

CHECK = """
import hashlib, json, sys, urllib.request
from pathlib import Path
from pipeline.workspace.workspace import Workspace

root, hits_url, memory = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
before = json.loads(memory.read_text()) if memory.exists() else {"stored": [], "finished": {}}
hits = json.load(urllib.request.urlopen(hits_url))
workspace = Workspace.open(root)
images, candidates = workspace.store.images(), workspace.store.candidates()
for image, file in zip(images["id"], images["file"]):
    assert hashlib.sha256((workspace.images / file).read_bytes()).hexdigest() == image, file
for file in workspace.images.rglob("*.*"):
    assert hashlib.sha256(file.read_bytes()).hexdigest() == file.stem, f"half a file: {file}"
stored = sorted(images["id"])
assert set(before["stored"]) <= set(stored), "an accepted file is lost"
assert set(candidates[candidates["status"] == "stored"]["sha256"]) <= set(stored)
finished = [url for url, status in zip(candidates["url"], candidates["status"]) if status != "new"]
for url, count in before["finished"].items():
    assert url in finished and hits.get(url.split("/")[-1], 0) == count, f"asked for again: {url}"
memory.write_text(json.dumps({"stored": stored, "finished": {url: hits[url.split("/")[-1]] for url in finished}}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not KILL_LOOP.is_file(), reason=f"there is no {KILL_LOOP.name} beside the repository")
def test_a_download_that_is_killed_again_and_again_loses_nothing_and_asks_for_nothing_twice(
    site: Site, tmp_path: Path, sampled: Sample
) -> None:
    pictures, rounds = (500, 8) if sampled.everything else (150, 2)
    site.pages = {f"/{number}": _slowly(reply(_picture(number))) for number in range(pictures)}
    site.pages["/hits"] = lambda connection, count: _tell_hits(site, connection)
    urls, checker = tmp_path / "urls.csv", tmp_path / "check.py"
    with urls.open("w", newline="") as lines:
        rows = ((f"http://{site.host}/{number}", "thing") for number in range(pictures))
        csv.writer(lines).writerows([("url", "label"), *rows])
    checker.write_text(CHECK)
    root = tmp_path / "workspace"
    Workspace.create(root)
    words = ("download", "--urls", str(urls), "--allow-host", site.host, "--json")
    check = (checker, root, f"http://{site.host}/hits", tmp_path / "memory.json")
    killed_again_and_again(words, root, check, rounds, sampled.seed)
    assert len(Workspace.open(root).store.images()) == pictures


def _slowly(answer: bytes) -> Answer:
    """Slow enough that a download is killed in the middle rather than at its end."""

    def send(connection: socket.socket, count: int) -> None:
        time.sleep(0.25)
        connection.sendall(answer)

    return send


def _picture(number: int) -> bytes:
    file = io.BytesIO()
    colours = (number % 256, number // 256, 90)
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").point(lambda v: v // 2 + colours[v % 3] // 2).save(
        file, "JPEG"
    )
    return file.getvalue() + number.to_bytes(2, "big")


def _tell_hits(site: Site, connection: socket.socket) -> None:
    counts = {path.strip("/"): len(moments) for path, moments in site.hits.items()}
    connection.sendall(reply(json.dumps(counts).encode()))
