"""One trained network asked by fastai, by timm's recipe, by us in torch, by ONNX Runtime and by OpenVINO, in turn.

    PYTHONPATH=. python benchmarks/predict.py [--fastai PYTHON] [--pictures 48] [--threads 0] [--rounds 3]

PYTHON is the interpreter of an environment with fastai (left out: not compared). The model is trained on the
starter set (the head alone) and exported with model.onnx, the preprocessing inside, which ONNX Runtime and OpenVINO
run. Every contender is a process of its own, several times in turn: its cold start (from the start of the process to
the first answer), the median time from a file to its answer, the pace with 16 pictures at once, its peak memory, and
its answers beside those of ours in torch: how many have the same likeliest class, and by how much a probability differs
at most. fastai takes the same network as a Learner, exported and loaded as its documentation
says; its probabilities are not divided by the temperature, so of its answers the likeliest class is compared, and the
difference says little. Ratios are the first contender's value divided by each one's (its pace the other way round).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._contenders import contend
from benchmarks._predict_scripts import EXPORT_LEARNER, FASTAI, ONNX, OPENVINO, OURS, TIMM, script
from benchmarks._train_sets import prepared
from pipeline.collect.starter_set import write_starter
from pipeline.deploy.export import ExportConfig, export
from pipeline.stage import run
from pipeline.train.train import TrainConfig, train

REFERENCE = "ours in torch"


def main() -> None:
    """Everything in turn, then a line for each contender."""
    args = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        starter = write_starter(place / "starter")
        workspace = prepared(place / "ws", "starter", 600)
        trained = run(train(workspace, TrainConfig(layers="head")))
        run(export(workspace, ExportConfig(trained.id, str(place / "model"), onnx=True)))
        pictures = place / "pictures.json"
        every = sorted(starter.rglob("*.jpg"))
        pictures.write_text(json.dumps([str(file) for file in every[:: max(1, len(every) // args.pictures)]]))
        contenders = _contenders(args, starter, place)
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
        for _ in range(args.rounds):
            for name, (python, code, model) in contenders.items():
                told = contend(python, script(code), str(model), pictures, str(args.threads), str(time.time()))
                found[name].append(told["answer"])
    for line in table(found):
        sys.stdout.write(line + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fastai", metavar="PYTHON", help="interpreter with fastai")
    parser.add_argument("--pictures", type=int, default=48, help="so many of the starter set")
    parser.add_argument("--threads", type=int, default=0, help="of each contender (0: as many as it likes)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender has its turn")
    return parser.parse_args()


def _contenders(args: argparse.Namespace, starter: Path, place: Path) -> dict[str, tuple[str, str, Path]]:
    """{name: (interpreter, how it loads and asks, its model)}"""
    own, folder = sys.executable, place / "model"
    found = {
        "timm's recipe": (own, TIMM, folder),
        REFERENCE: (own, OURS, folder),
        "ONNX Runtime": (own, ONNX, folder),
        "OpenVINO": (own, OPENVINO, folder),
    }
    if args.fastai:
        learner = place / "learner.pkl"
        contend(args.fastai, EXPORT_LEARNER, folder, starter, learner)
        found = {"fastai": (args.fastai, FASTAI, learner), **found}
    return found


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """A line for each contender: medians over its turns, and what the first one takes of each."""
    reference = np.array(found[REFERENCE][0]["said"])
    measured = {name: _measured(turns) for name, turns in found.items()}
    first = next(iter(measured.values()))
    lines = []
    for name, turns in found.items():
        now, said = measured[name], np.array(turns[0]["said"])
        same = float((said.argmax(axis=1) == reference.argmax(axis=1)).mean())
        lines.append(
            f"{name:16} from file {1000 * now['p50']:6.1f} ms ({first['p50'] / now['p50']:.1f}x), "
            f"16 at once {now['pace']:5.0f}/s ({now['pace'] / first['pace']:.1f}x), "
            f"cold start {now['cold']:5.2f} s ({first['cold'] / now['cold']:.1f}x), memory {now['peak']:4.0f} MiB, "
            f"same class {100 * same:.1f} %, largest difference {np.abs(said - reference).max():.1e}"
        )
    return lines


def _measured(turns: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    latencies = [statistics.median(turn["taken"]) for turn in turns]
    others = {key: statistics.median(turn[key] for turn in turns) for key in ("pace", "cold", "peak")}
    return {"p50": statistics.median(latencies), **others}


if __name__ == "__main__":
    main()
