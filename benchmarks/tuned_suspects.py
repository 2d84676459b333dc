"""Finding planted label errors by the features of the fine-tuned body instead of the pretrained one.

    PYTHONPATH=. python benchmarks/tuned_suspects.py [--data near=starter far=DIR] [--pictures 400] [--size 160]
        [--epochs 2] [--noise 10] [--seeds 1]

The network is fine-tuned (all layers) on the train split with the wrong labels in it, as a person's would be, so what
it learns of a train picture holds that picture's label, right or wrong; valid and test pictures are new to it. The
weights are those after the last epoch, even where an earlier one had the best validation loss. Out-of-fold heads rank
the pictures by the features of either body, and by the mean of both ranks. Prints the average precision over the train
pictures and over the others; means over the seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks._train_sets import prepared
from benchmarks.suspects import PLANTED, average_precision, planted, rankings
from pipeline.stage import run
from pipeline.train.checkpoints import Checkpoints
from pipeline.train.data import Dataset
from pipeline.train.engine import Engine
from pipeline.train.fine_tune import fine_tune, fit_the_head
from pipeline.train.history import TrainingHistory
from pipeline.train.train import TrainConfig, prepare
from pipeline.workspace.workspace import Workspace


def main() -> None:
    """Each data set and kind of noise in turn."""
    args = _arguments()
    config = TrainConfig(layers="all", epochs=args.epochs, image_size=args.size)
    with tempfile.TemporaryDirectory() as scratch:
        for name, _, source in (text.partition("=") for text in args.data):
            workspace = prepared(Path(scratch) / name, source, args.pictures)
            for kind in PLANTED:
                found: dict[str, list[tuple[float, float]]] = defaultdict(list)
                for seed in args.seeds:
                    for way, scores in measured(workspace, config, kind, args.noise / 100, seed).items():
                        found[way].append(scores)
                means = {way: np.mean(both, axis=0) for way, both in found.items()}
                words = ", ".join(f"{way} {mean[0]:.3f} (others {mean[1]:.3f})" for way, mean in means.items())
                print(f"{name} {kind} {args.noise:.0f} %: train pictures {words}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["near=starter"], metavar="NAME=SOURCE", help="what to import")
    parser.add_argument("--pictures", type=int, default=400, help="at most so many of a set")
    parser.add_argument("--size", type=int, default=160, help="pixels")
    parser.add_argument("--epochs", type=int, default=2, help="of all layers")
    parser.add_argument("--noise", type=float, default=10, help="per cent of the labels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    return parser.parse_args()


def measured(
    workspace: Workspace, config: TrainConfig, kind: str, share: float, seed: int
) -> Mapping[str, tuple[float, float]]:
    """{body: average precision over the train pictures, over the others}"""
    task, engine = run(prepare(workspace, config))
    dataset, history = task.dataset, TrainingHistory(engine.notes)
    groups = [str(group) for group in dataset.rows["group"]]
    before = _features(engine, dataset)
    labels, wrong = planted(before, task.targets, groups, kind, share, seed)
    task = replace(task, targets=labels)
    run(fit_the_head(task, engine, history))
    run(fine_tune(task, engine, history, Checkpoints.of(workspace, task.identity)))
    scores = {
        "pretrained": rankings(before, labels, groups)["ours"],
        "fine-tuned": rankings(_features(engine, dataset), labels, groups)["ours"],
    }
    losses = [epoch["valid_loss"] for epoch in history.epochs]
    print(
        f"  seed {seed}, loss on the valid split after each epoch: {', '.join(f'{loss:.3f}' for loss in losses)}",
        flush=True,
    )
    scores["both"] = np.sum([score.argsort().argsort() for score in scores.values()], axis=0)
    learnt = np.isin(np.arange(len(labels)), dataset.positions("train"))
    parts = (learnt, ~learnt)
    return {
        way: (average_precision(score[parts[0]], wrong[parts[0]]), average_precision(score[parts[1]], wrong[parts[1]]))
        for way, score in scores.items()
    }


def _features(engine: Engine, dataset: Dataset) -> torch.Tensor:
    return run(engine.answers(dataset, np.arange(len(dataset.rows)), "Reading features", "features"))[0]


if __name__ == "__main__":
    main()
