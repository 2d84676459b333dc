"""Train on the starter set with the defaults, as a job of the app does, and print what that holds in memory by phase.

    PYTHONPATH=. python benchmarks/training_memory.py [--backbone NAME] [--image-size N]

Nobody to compare with: the question is whether a training fits beside what else a laptop does. The job and all that it
starts are looked at ten times a second. PSS counts a page that several processes share once; anonymous memory leaves
out the pages of files (libraries, weights, the pixel cache), which the system takes back when it needs them. Linux.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.jobs.job import Job, get_job, read_json, start
from pipeline.jobs.stages import StageFunction
from pipeline.train.config import TrainConfig
from pipeline.train.train import train
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace

EVERY_SECONDS = 0.1
FIELD = re.compile(r"^(Pss|Pss_Anon): +(\d+) kB$", re.MULTILINE)


@dataclass
class Phase:
    """What was held at most in one phase (MiB: PSS, anonymous), what the job said then, and how long the phase took."""

    pss: float = 0.0
    anonymous: float = 0.0
    note: str = ""
    seconds: float = 0.0


def held(pid: int) -> tuple[float, float]:
    """(PSS, anonymous PSS) in MiB of a process and all that it started."""
    pss = anonymous = 0.0
    for one in processes(pid):
        try:
            told = dict(FIELD.findall(Path(f"/proc/{one}/smaps_rollup").read_text()))
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
        pss, anonymous = pss + int(told["Pss"]) / 1024, anonymous + int(told["Pss_Anon"]) / 1024
    return pss, anonymous


def processes(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    try:
        yield pid
        yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return


def watched(workspace: Workspace, stage: StageFunction, config: Any) -> tuple[dict[str, Phase], Job]:
    """Run a stage as a job; what it held, by the phase that it was in."""
    job, found, began = start(workspace, stage, config), dict[str, Phase](), time.monotonic()
    pid = int(read_json(job.folder / "process.json")["pid"])
    while job.active:
        steps = [event for event in job.events() if event["kind"] == "progress"]
        said: dict[str, Any] = steps[-1] if steps else {"metrics": {"phase": "begin"}}
        phase = found.setdefault(str(said["metrics"].get("phase", "other")), Phase())
        pss, anonymous = held(pid)
        if pss > phase.pss:
            phase.pss, phase.note = pss, str(said.get("note", ""))
        phase.anonymous = max(phase.anonymous, anonymous)
        time.sleep(EVERY_SECONDS)
        phase.seconds, began = phase.seconds + time.monotonic() - began, time.monotonic()
        job = get_job(workspace, job.id)
    return found, job


def main() -> None:
    """Import, check and train."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--backbone", default=TrainConfig().backbone)
    arguments.add_argument("--image-size", type=int, default=TrainConfig().image_size)
    args = arguments.parse_args()
    stages: list[tuple[str, StageFunction, Any]] = [
        ("import", import_images, ImportConfig("starter")),
        ("verify", verify, VerifyConfig()),
        ("train", train, TrainConfig(args.backbone, image_size=args.image_size)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "starter")
        print(f"{'':16}  {'seconds':>7}  {'PSS MiB':>8}  {'anonymous':>9}  said at the peak")
        for name, stage, config in stages:
            phases, job = watched(workspace, stage, config)
            for phase, one in phases.items():
                figures = f"{one.seconds:7.1f}  {one.pss:8.0f}  {one.anonymous:9.0f}"
                print(f"{name:6} {phase:9}  {figures}  {one.note}", flush=True)
            print(f"{name}: {job.status}, {job.note}", flush=True)


if __name__ == "__main__":
    main()
