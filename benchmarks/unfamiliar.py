"""How well pictures of another kind are told from those a model knows: ours beside the other ways, on real sets.

    PYTHONPATH=. python benchmarks/unfamiliar.py [--data starter=starter textile=DIR ...] [--near grocery=DIR ...]
        [--other stamps=DIR emoji=DIR ...] [--pictures 600] [--asked 150] [--layers head] [--epochs 1] [--seed 0]

A set of ``--data`` (what import takes: class folders) is verified and trained on as always. The threshold of each way
lies where 5 % of the valid split are above it. Printed are the false alarms on the test split, which nobody looked at
before; the detection rate: the share of each other set that is above it (the other sets of ``--data``, the folders of
``--other``, noise); and the area under the ROC curve of the test split against all of them. With ``--near``, each class
of a set in turn is left out of what is learnt, and asked about. The body of the network stays as it is there. A folder
that is not there is left out, and said to be. ``--table``: every number, as a CSV file.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks._distances import METHODS, Known
from benchmarks._train_sets import prepared
from pipeline.model.familiar import FALSE_ALARMS
from pipeline.model.head import fit_head
from pipeline.predict import Classifier, Unreadable, forward, normalise, open_image, pixels
from pipeline.stage import run
from pipeline.train.data import load_dataset
from pipeline.train.train import TrainConfig, train
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

NOISE = 40
Asked = tuple[torch.Tensor, torch.Tensor]  # features [N, F], logits [N, C]


@dataclass(frozen=True)
class Trained:
    """A set, and a model that learnt from its train split: what it makes of every picture, by split."""

    classifier: Classifier
    split: np.ndarray
    labels: torch.Tensor
    features: torch.Tensor
    logits: torch.Tensor

    def of(self, split: str) -> torch.Tensor:
        """The row numbers of one split."""
        return torch.from_numpy(np.flatnonzero(self.split == split))


def main() -> None:
    """Each set in turn."""
    args = _arguments()
    named = {kind: _there(getattr(args, kind)) for kind in ("data", "near", "other")}
    folders = {**named["other"], **{name: source for name, source in named["data"].items() if Path(source).exists()}}
    rows: list[tuple[str, str, str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, source in named["data"].items():
            trained = learnt(Path(scratch) / name, source, args)
            others = {other: folder for other, folder in folders.items() if other != name}
            asked = {other: ask(trained.classifier, some_of(folder, args.asked)) for other, folder in others.items()}
            asked["noise"] = ask(trained.classifier, noise(NOISE))
            found = {way: far(trained, way, asked) for way in METHODS}
            rows += _table(name, found)
        for name, source in named["near"].items():
            trained = learnt(Path(scratch) / f"{name}-near", source, args, "head")
            rows += _table(f"{name}, a class left out", {way: near(trained, way) for way in METHODS})
    if args.table:
        with args.table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("set", "way", "what", "value"), *rows])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["starter=starter"], metavar="NAME=SOURCE", help="learnt from")
    parser.add_argument("--near", nargs="+", default=["starter=starter"], metavar="NAME=SOURCE", help="without a class")
    parser.add_argument("--other", nargs="+", default=[], metavar="NAME=DIR", help="asked about")
    parser.add_argument("--pictures", type=int, default=600, help="at most so many of a set")
    parser.add_argument("--asked", type=int, default=150, help="at most so many of another set")
    parser.add_argument("--layers", default="head", help="what learns: head, or all with --epochs")
    parser.add_argument("--epochs", type=int, default=1, help="passes with all layers")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--table", type=Path, metavar="FILE.csv", help="write every number")
    return parser.parse_args()


def _there(texts: Sequence[str]) -> dict[str, str]:
    """{name: source} of those that are there."""
    found = dict(text.split("=", 1) for text in texts)
    for name, source in found.items():
        if source != "starter" and not Path(source).is_dir():
            sys.stdout.write(f"{name} is left out: there is no folder {source}\n")
    return {name: source for name, source in found.items() if source == "starter" or Path(source).is_dir()}


def learnt(place: Path, source: str, args: argparse.Namespace, layers: str = "") -> Trained:
    """The set ``source`` in a workspace, and what a model that was trained on it makes of its pictures."""
    workspace: Workspace = prepared(place, source, args.pictures)
    trained: Run = run(train(workspace, TrainConfig(layers=layers or args.layers, epochs=args.epochs, seed=args.seed)))
    classifier = Classifier.load(trained.folder)
    dataset = run(load_dataset(workspace, classifier.preprocessing))
    numbers = [classifier.classes.index(label) for label in dataset.rows["label"]]
    features, logits = _asked(classifier, dataset.exact[np.arange(len(numbers))])
    return Trained(classifier, dataset.rows["split"].to_numpy(), torch.tensor(numbers), features, logits)


def _asked(classifier: Classifier, batch: np.ndarray) -> Asked:
    parts = []
    with torch.inference_mode():
        for start in range(0, len(batch), 32):
            some = torch.from_numpy(batch[start : start + 32])
            parts.append(forward(classifier.model, normalise(some, classifier.preprocessing)))
    features, logits = (torch.cat(part).float().clone() for part in zip(*parts, strict=True))
    return features, logits


def ask(classifier: Classifier, pictures: Iterator[Image.Image]) -> Asked:
    """(features, logits) of some pictures."""
    return _asked(classifier, np.stack([pixels(picture, classifier.preprocessing) for picture in pictures]))


def some_of(folder: str, count: int) -> Iterator[Image.Image]:
    """At most ``count`` of the pictures in a folder, always the same ones."""
    files = sorted(file for file in Path(folder).rglob("*") if file.is_file())
    for number in np.random.default_rng(0).permutation(len(files))[:count]:
        try:
            yield open_image(files[number])
        except Unreadable:
            continue


def noise(count: int) -> Iterator[Image.Image]:
    """Plain colours, and noise of coarse to fine grain."""
    chance = np.random.default_rng(0)
    for number in range(count):
        side = (1, 4, 16, 224)[number % 4]
        yield Image.fromarray(chance.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize((224, 224))


def far(trained: Trained, way: str, asked: Mapping[str, Asked]) -> dict[str, float]:
    """{what: value} of one way: false alarms, the detection rate of each other set, the area under the curve."""
    train, valid, test = (trained.of(split) for split in ("train", "valid", "test"))
    score = METHODS[way](Known(trained.features[train], trained.labels[train], trained.logits[train]))
    own = [score(trained.features[rows], trained.logits[rows]).double() for rows in (valid, test)]
    others = {name: score(*both).double() for name, both in asked.items()}
    return _measured(own[0], own[1], others)


def _measured(valid: torch.Tensor, test: torch.Tensor, others: Mapping[str, torch.Tensor]) -> dict[str, float]:
    limit = torch.quantile(valid, 1 - FALSE_ALARMS)
    rates = {name: float((scores > limit).double().mean()) for name, scores in others.items()}
    areas = [_area(test, scores) for scores in others.values()]
    detected = float(np.mean(list(rates.values())))
    alarms = float((test > limit).double().mean())
    return {"false alarms": alarms, "detected": detected, "area": float(np.mean(areas)), **rates}


def _area(usual: torch.Tensor, strange: torch.Tensor) -> float:
    """How often a strange picture scores higher than a usual one, ties counted half."""
    above = (strange[:, None] > usual[None]).double() + 0.5 * (strange[:, None] == usual[None]).double()
    return float(above.mean())


def near(trained: Trained, way: str) -> dict[str, float]:
    """The same, with each class in turn left out of what is learnt: its pictures of every split are asked about."""
    every: list[dict[str, float]] = []
    split, labels, count = trained.split, trained.labels.numpy(), len(trained.classifier.classes)
    for left_out in range(count):
        rows = {name: np.flatnonzero((split == name) & (labels != left_out)) for name in ("train", "valid", "test")}
        numbers = torch.from_numpy(np.where(labels > left_out, labels - 1, labels))
        head = fit_head([trained.features], numbers.clamp_max(count - 2), count - 1, rows=rows["train"])
        logits, train = head(trained.features), rows["train"]
        score = METHODS[way](Known(trained.features[train], numbers[train], logits[train]))
        strange = {"left out": torch.from_numpy(np.flatnonzero(labels == left_out))}
        scores = {
            name: score(trained.features[which], logits[which]).double() for name, which in (rows | strange).items()
        }
        every.append(_measured(scores["valid"], scores["test"], {"left out": scores["left out"]}))
    return {what: float(np.mean([one[what] for one in every])) for what in ("false alarms", "detected", "area")}


def _table(name: str, found: Mapping[str, Mapping[str, float]]) -> list[tuple[str, str, str, float]]:
    """Print one line a way; and the numbers as rows."""
    sys.stdout.write(f"\n{name}\n")
    for way, values in found.items():
        words = ", ".join(f"{what} {100 * value:.1f}" for what, value in values.items())
        sys.stdout.write(f"  {way:24} {words}\n")
    sys.stdout.flush()
    return [(name, way, what, value) for way, values in found.items() for what, value in values.items()]


if __name__ == "__main__":
    main()
