"""Verify many small pictures and print how long it takes and how much memory, by the number of pictures.

PYTHONPATH=. python benchmarks/scale.py [--pictures 20000 200000] [--folder DIR]

Nobody to compare with: the question is whether memory stays bounded. Each picture is a JPEG file of 64 x 64 pixels of
its own; none is a copy of another. Memory is the resident set of the process that runs the stage and of its workers.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from pipeline.stage import run
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.records import NewImage
from pipeline.workspace.workspace import Workspace

BATCH = 2_000


@dataclass
class Peak:
    """The largest resident sets seen, in MiB."""

    main: float = 0.0
    workers: float = 0.0


def filled(root: Path, pictures: int) -> Workspace:
    """A workspace with so many unchecked pictures."""
    workspace = Workspace.create(root)
    generator = np.random.default_rng(0)
    for start in range(0, pictures, BATCH):
        new = []
        for number in range(start, min(start + BATCH, pictures)):
            data = _picture(generator)
            image, file = workspace.keep(data, "jpg")
            new.append(NewImage(image, file, len(data), f"class {number % 10}", "folder", f"{number}.jpg"))
        workspace.store.add_images(new)
    return workspace


def _picture(generator: np.random.Generator) -> bytes:
    """Smooth and unlike any other: 8 x 8 random colours, enlarged."""
    small = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    target = io.BytesIO()
    small.resize((64, 64), Image.Resampling.BICUBIC).save(target, "JPEG", quality=80)
    return target.getvalue()


@contextmanager
def watched(seconds: float = 0.2) -> Iterator[Peak]:
    """The peak of memory while the block runs."""
    peak, over, me = Peak(), threading.Event(), psutil.Process()

    def watch() -> None:
        while not over.wait(seconds):
            peak.main = max(peak.main, me.memory_info().rss / 2**20)
            for child in me.children(recursive=True):
                try:
                    peak.workers = max(peak.workers, child.memory_info().rss / 2**20)
                except psutil.NoSuchProcess:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def main() -> None:
    """Measure each number of pictures in turn."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pictures", type=int, nargs="+", default=[2_000, 20_000])
    arguments.add_argument("--folder", type=Path, help="where the workspaces are made (a temporary folder if left out)")
    args = arguments.parse_args()
    print("pictures   seconds   a second   main MiB   largest worker MiB")
    for pictures in args.pictures:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            workspace = filled(Path(folder) / "workspace", pictures)
            with watched() as peak:
                began = time.perf_counter()
                found = run(verify(workspace, VerifyConfig(cache=False)))
                seconds = time.perf_counter() - began
            assert found.ok == pictures, f"{found.ok} of {pictures} are fine"
            print(f"{pictures:8,}  {seconds:8.1f}   {pictures / seconds:8.0f}   {peak.main:8.0f}   {peak.workers:8.0f}")


if __name__ == "__main__":
    main()
