"""Downloading: fastai's download_images, img2dataset and ours, in turn, from a stand-in of the web; prints ratios.

    python benchmarks/download.py [--urls 300] [--faulty] [--side 400] [--rounds 3]
                                  [--fastai PYTHON] [--img2dataset PYTHON]

PYTHON is the interpreter of an environment that has the peer installed (``python -m venv X; X/bin/pip install
fastai``); a peer that is not named is left out. Each contender is a process of its own; its clock starts after its
imports. CPU time is that of the process and of all it started. What each of them kept is counted by opening it. Ours
decodes every picture as it comes and fastai's does not, so fastai's is also shown with ``verify_images`` behind it,
and ours as the client alone, writing what comes.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks._web_stand_in import paths, pictures, standing_in

CLOCK = """
import json, resource, sys, time
def used():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
def timed(work):
    began, before = time.perf_counter(), used()
    work()
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu": used() - before}))
"""
FASTAI = """
from pathlib import Path
from fastai.vision.utils import download_images
urls = Path(sys.argv[1]).read_text().split()
timed(lambda: download_images(Path(sys.argv[2]), urls=urls, max_pics=len(urls)))
"""
FASTAI_VERIFIED = """
from pathlib import Path
from fastai.vision.utils import download_images, get_image_files, verify_images
urls, folder = Path(sys.argv[1]).read_text().split(), Path(sys.argv[2])
def work():
    download_images(folder, urls=urls, max_pics=len(urls))
    for broken in verify_images(get_image_files(folder)):
        broken.unlink()
timed(work)
"""
IMG2DATASET = """
from img2dataset import download
if __name__ == "__main__":
    timed(lambda: download(url_list=sys.argv[1], output_folder=sys.argv[2] + "/out", processes_count=1, thread_count=64,
                           image_size=256, output_format="files", timeout=10))
"""
OURS = """
if __name__ == "__main__":
    from pathlib import Path
    from pipeline.collect.download import DownloadConfig, download
    from pipeline.stage import run
    from pipeline.workspace.workspace import Workspace
    workspace = Workspace.create(Path(sys.argv[2]) / "workspace")
    hosts = tuple(dict.fromkeys(line.split("/")[2] for line in Path(sys.argv[1]).read_text().split()))
    timed(lambda: run(download(workspace, DownloadConfig(urls=sys.argv[1] + ".csv", allow_hosts=hosts))))
"""
OURS_UNCHECKED = """
import asyncio
from pathlib import Path
from pipeline.web.fetch import Client, FetchLimits
from pipeline.web.responses import NotFetched
urls, folder = Path(sys.argv[1]).read_text().split(), Path(sys.argv[2])
hosts = tuple({url.split("/")[2] for url in urls})
async def some(left, fetch):
    for number, url in left:
        try:
            (folder / f"{number}.jpg").write_bytes(await fetch(url))
        except NotFetched:
            pass
async def work():
    left = enumerate(urls)
    async with Client(FetchLimits(), hosts) as fetch:
        await asyncio.gather(*(some(left, fetch) for _ in range(64)))
timed(lambda: asyncio.run(work()))
"""


def main() -> None:
    """Run all contenders in turn, some rounds, and print medians and the medians of the ratios."""
    args = _arguments()
    contenders = {"ours": (sys.executable, OURS), "ours unchecked": (sys.executable, OURS_UNCHECKED)}
    if args.fastai:
        contenders |= {"fastai": (args.fastai, FASTAI), "fastai+verify": (args.fastai, FASTAI_VERIFIED)}
    contenders |= {"img2dataset": (args.img2dataset, IMG2DATASET)} if args.img2dataset else {}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory() as scratch:
        bodies = pictures(Path(scratch) / "starter", args.side, args.urls)
        print(f"{args.urls} URLs, {statistics.mean(map(len, bodies)) / 1024:.0f} KiB a picture, faulty: {args.faulty}")
        with standing_in(bodies) as hosts:
            urls = Path(scratch) / "urls.txt"
            asked = [f"http://{hosts[n % len(hosts)]}{path}" for n, path in enumerate(paths(args.urls, args.faulty))]
            _write(urls, asked)
            for _ in range(args.rounds):
                for name, (python, script) in contenders.items():
                    results[name].append(_one(python, CLOCK + script, urls, Path(scratch) / "kept"))
    _print(results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--urls", type=int, default=300)
    parser.add_argument("--side", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--faulty", action="store_true")
    parser.add_argument("--fastai")
    parser.add_argument("--img2dataset")
    return parser.parse_args()


def _write(file: Path, urls: list[str]) -> None:
    file.write_text("\n".join(urls))
    with Path(f"{file}.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([("url", "label"), *((url, "thing") for url in urls)])


def _one(python: str, script: str, urls: Path, kept: Path) -> dict[str, float]:
    kept.mkdir()
    file = kept.with_name("contender.py")
    file.write_text(script)
    environment = {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "PATH": "/usr/bin:/bin",
        "NO_ALBUMENTATIONS_UPDATE": "1",
    }
    done = subprocess.run(
        [python, str(file), str(urls), str(kept)], capture_output=True, text=True, env=environment, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"seconds"')]
    if not lines:
        raise SystemExit(f"{python} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(lines[-1]) | _kept(kept)
    shutil.rmtree(kept)
    return result


def _kept(folder: Path) -> dict[str, int]:
    """What a contender left: different pictures, copies of them, and files that are none."""
    counts = {"pictures": 0, "copies": 0, "no_pictures": 0}
    seen: set[str] = set()
    for file in folder.rglob("*.*"):
        if file.suffix.lower() not in (".jpg", ".jpeg") or "thumbnails" in file.parts:
            continue
        try:
            with Image.open(file) as image:
                image.load()
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError:
            counts["no_pictures"] += 1
            continue
        counts["copies" if digest in seen else "pictures"] += 1
        seen.add(digest)
    return counts


def _print(results: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows in results.items():
        middle = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        rate = middle["pictures"] / middle["seconds"]
        print(
            f"{name:14} {middle['seconds']:6.2f} s  {rate:6.0f} pictures/s  CPU {middle['cpu']:6.2f} s  "
            f"{middle['pictures']:.0f} pictures, {middle['copies']:.0f} copies, {middle['no_pictures']:.0f} no pictures"
        )
    for name in [name for name in results if not name.startswith("ours")]:
        for ours in ("ours", "ours unchecked"):
            _compare(ours, name, results)


def _compare(one: str, peer: str, results: dict[str, list[dict[str, Any]]]) -> None:
    pairs = list(zip(results[peer], results[one], strict=True))
    faster = statistics.median(
        (ours["pictures"] / ours["seconds"]) / max(theirs["pictures"] / theirs["seconds"], 1e-9)
        for theirs, ours in pairs
    )
    cpu = statistics.median(theirs["cpu"] / ours["cpu"] for theirs, ours in pairs)
    print(f"{one} / {peer}: {faster:.2f} x the pictures a second; {peer} takes {cpu:.2f} x its CPU time")


if __name__ == "__main__":
    main()
