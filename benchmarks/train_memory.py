"""Train on many pictures of 512 pixels and print the memory and the time it takes, by the number of pictures.

    PYTHONPATH=. python benchmarks/train_memory.py [--pictures 10000 100000] [--image-size 96] [--epochs 0]

Nobody to compare with: the question is whether memory stays bounded. The network is a small one with random weights
(mobilenetv3_small_050, 1,024 features a picture): what it learns does not matter. Files differ in a comment only, so
that they are quick to make, and go on record as if Verify had passed them. Memory is that of the process, without the
pages of mapped files, which the system takes back when it needs them.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import timm
from PIL import Image
from safetensors.torch import save_file

from pipeline.stage import Progress, run
from pipeline.train.train import TrainConfig, train
from pipeline.workspace.records import NewImage, Verdict
from pipeline.workspace.workspace import Workspace

BACKBONE = "mobilenetv3_small_050"
SIDE, BASES, CLASSES, BATCH = 512, 200, 10, 2_000
SPLITS = ("train",) * 7 + ("valid", "test", "test")


def filled(root: Path, pictures: int) -> Workspace:
    """A workspace with so many pictures that may be trained on at once."""
    workspace, bases = Workspace.create(root), [_picture(number) for number in range(BASES)]
    for start in range(0, pictures, BATCH):
        new = []
        for number in range(start, min(start + BATCH, pictures)):
            data = _with_comment(bases[number % BASES], str(number))
            image, file = workspace.keep(data, "jpg")
            new.append(NewImage(image, file, len(data), f"class {number % CLASSES}", "folder", f"{number}.jpg"))
        store = workspace.store
        store.add_images(new)
        store.record_verdicts([Verdict(one.id, "ok", "ok", "", SIDE, SIDE, "JPEG", quality="{}") for one in new])
        store.set_groups({one.id: one.id for one in new})
        store.set_splits({one.id: SPLITS[number // CLASSES % len(SPLITS)] for number, one in enumerate(new)})
    return workspace


def _picture(number: int) -> bytes:
    """Smooth, with a colour for each class."""
    generator = np.random.default_rng(number)
    shift = np.array([number % CLASSES * 9, number % 3 * 30, number % 4 * 20])
    colours = generator.integers(0, 160, (16, 16, 3)) + shift
    target = io.BytesIO()
    Image.fromarray(colours.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(target, "JPEG")
    return target.getvalue()


def _with_comment(data: bytes, text: str) -> bytes:
    comment = text.encode()
    return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


class Watch:
    """What the process held at most in each phase of a training, in MiB, and how long the phase took in seconds."""

    def __init__(self) -> None:
        self.peaks: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self._at = time.perf_counter()

    def __call__(self, progress: Progress) -> None:
        """To be told of each progress."""
        phase, now = str(progress.metrics.get("phase", "other")), time.perf_counter()
        self.peaks[phase] = max(self.peaks.get(phase, 0.0), own_memory())
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._at
        self._at = now


def own_memory() -> float:
    """MiB of this process that are not pages of mapped files (Linux), else its resident set."""
    status = Path("/proc/self/status")
    found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else psutil.Process().memory_info().rss / 2**20


def main() -> None:
    """Train on each number of pictures in turn, each in a process of its own."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pictures", type=int, nargs="+", default=[10_000])
    arguments.add_argument("--image-size", type=int, default=96)
    arguments.add_argument("--epochs", type=int, default=0, help="passes with all layers")
    arguments.add_argument("--folder", type=Path, help="where the workspaces are made (a temporary folder if left out)")
    args = arguments.parse_args()
    if len(args.pictures) > 1:  # memory that one run leaves behind would be counted for the next
        for pictures in args.pictures:
            rest = [word for word in sys.argv[1:] if word not in ("--pictures", *map(str, args.pictures))]
            subprocess.run([sys.executable, __file__, "--pictures", str(pictures), *rest], check=True)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        weights = Path(folder) / "weights.safetensors"
        save_file(timm.create_model(BACKBONE, pretrained=False).state_dict(), weights)
        workspace = filled(Path(folder) / "workspace", args.pictures[0])
        config = TrainConfig(
            BACKBONE,
            str(weights),
            layers="all" if args.epochs else "head",
            epochs=args.epochs,
            image_size=args.image_size,
            batch_size=64,
        )
        print(f"{args.pictures[0]:,} pictures, before: {own_memory():.0f} MiB", flush=True)
        watch = Watch()
        done = run(train(workspace, config), watch)
        for phase, peak in watch.peaks.items():
            print(f"  {phase:10} {watch.seconds[phase]:8.1f} s   {peak:8.0f} MiB", flush=True)
        print(f"  error on the test split {done.test['error_rate']:.3f}; {done.record['notes']}", flush=True)


if __name__ == "__main__":
    main()
