"""Whether the error that is stated for new scenes holds: on sets with given parts or sites, beside the truth.

    PYTHONPATH=. python benchmarks/new_scenes.py [--parts grocery5=DIR:DIR ...] [--sites xiangqi=DIR=PATTERN ...]
        [--cache DIR] [--draws 2000] [--table FILE.csv]
    (benchmarks/_published_sets.py makes folders for --parts from published packages)

A set of ``--parts`` is two folders of class folders: what a model learns from, and pictures from elsewhere. Of a set of
``--sites``, the pattern (a regular expression with one group) finds the site in a file's name; the last third of the
sites, by name, is elsewhere, and the sites of the rest are known scenes. The network is tf_efficientnet_lite0 as it
comes, with the head that Winnow fits; stated is what a training would state, of which all pictures of the first part
are asked; the truth is how often the head that learnt from all of them is wrong elsewhere.

Then ``--draws`` simulated sets are drawn from the stored answers of each set: pictures one by one, for the interval of
a test split, and scenes with all their pictures, for the others (the middle grouping; answers from folds that cut its
scenes, and from folds that do not); how often the stated 95 % interval holds the rate that was drawn from is its
coverage. A folder that is not there is left out, and said to be.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.model import backbones
from pipeline.model.groupings import groupings, scene_folds
from pipeline.model.head import fit_head
from pipeline.predict import Outputs, Preprocessing, forward, normalise, open_image, pixels
from pipeline.train.evaluate import error_rate_interval
from pipeline.train.new_scenes import FOLDS, Judged, held_out, interval, measure

BODY = "tf_efficientnet_lite0"
AT_ONCE = 32
TEST_PICTURES = (90, 300)
SCENES = (10, 20, 50)
OUTPUTS = Outputs("softmax")


@dataclass(frozen=True)
class Pictures:
    """``features`` [N, F], the ``labels`` and file ``names`` of the pictures of one folder."""

    features: torch.Tensor
    labels: list[str]
    names: list[str]

    def some(self, chosen: np.ndarray) -> Pictures:
        """Those that are chosen, [N] bool."""
        which = np.flatnonzero(chosen)
        return Pictures(self.features[which], [self.labels[row] for row in which], [self.names[row] for row in which])


def main() -> None:
    """Each set in turn."""
    args = _arguments()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    for text in args.parts:
        name, _, folders = text.partition("=")
        here, elsewhere = (Path(folder) for folder in folders.split(":"))
        if not (_there(name, here) and _there(name, elsewhere)):
            continue
        first, second = (looked_at(folder, args.cache) for folder in (here, elsewhere))
        rows.append(_judged(name, first, second, [None] * len(first.labels), "", args.draws))
    for text in args.sites:
        name, folder, pattern = text.split("=", 2)
        if not _there(name, Path(folder)):
            continue
        every = looked_at(Path(folder), args.cache)
        sites = [found[1] if (found := re.search(pattern, file)) else "" for file in every.names]
        order = sorted(set(sites))
        away = np.isin(sites, order[-max(1, len(order) // 3) :])
        known = [site for site, elsewhere in zip(sites, away, strict=True) if not elsewhere]
        rows.append(_judged(name, every.some(~away), every.some(away), known, "site", args.draws))
    if args.table and rows:
        with args.table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=[], metavar="NAME=DIR:DIR", help="learnt from, and elsewhere")
    parser.add_argument("--sites", nargs="+", default=[], metavar="NAME=DIR=PATTERN", help="sites in the file names")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where features are kept between two calls")
    parser.add_argument("--draws", type=int, default=2000, help="simulated sets (0: none)")
    parser.add_argument("--table", type=Path, metavar="FILE.csv", help="write every number")
    return parser.parse_args()


def _there(name: str, folder: Path) -> bool:
    if not folder.is_dir():
        sys.stdout.write(f"{name} is left out: there is no folder {folder}\n")
    return folder.is_dir()


def looked_at(folder: Path, cache: Path | None) -> Pictures:
    """The pictures of class folders, as the network sees them."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    kept = cache / f"{folder.resolve().parent.name}-{folder.name}.npz" if cache else None
    if kept and kept.exists():
        stored = np.load(kept)
        features, names = torch.from_numpy(stored["x"]).float(), [str(name) for name in stored["names"]]
    else:
        body = backbones.create(BODY, 2).eval().to(memory_format=torch.channels_last)
        config = body.pretrained_cfg
        preprocessing = Preprocessing((224, 224), "crop", tuple(config["mean"]), tuple(config["std"]))
        parts = []
        with torch.inference_mode():
            for start in range(0, len(files), AT_ONCE):
                batch = np.stack([pixels(open_image(file), preprocessing) for file in files[start : start + AT_ONCE]])
                parts.append(forward(body, normalise(torch.from_numpy(batch), preprocessing))[0].float())
        features, names = torch.cat(parts).clone(), [str(file.relative_to(folder)) for file in files]
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(kept, x=features.numpy(), names=np.array(names))
    labels = _coarse(folder)
    return Pictures(features, [labels.get(Path(name).name, name.split("/")[0]) for name in names], names)


def _coarse(folder: Path) -> dict[str, str]:
    """File name -> class, as the folder has it now: kept features may be of the same files in finer classes."""
    return {file.name: file.relative_to(folder).parts[0] for file in folder.rglob("*") if file.is_file()}


def _judged(
    name: str, first: Pictures, second: Pictures, known: list[str | None], by: str, draws: int
) -> dict[str, object]:
    """What is stated beside what is so; printed, and as a row."""
    classes = sorted(set(first.labels))
    numbers = torch.tensor([classes.index(label) for label in first.labels])
    elsewhere = torch.tensor([classes.index(label) if label in classes else -1 for label in second.labels])
    groups = [str(row) for row in range(len(numbers))]
    found = measure(first.features, numbers, OUTPUTS, len(classes), groups, known, by)
    head = fit_head([first.features], numbers, len(classes))
    truth = float((head(second.features).argmax(dim=1) != elsewhere).double().mean())
    said, like = found.new_scenes, found.like_these
    holds = said.low is not None and said.high is not None and said.low <= truth <= said.high
    sys.stdout.write(
        f"\n{name}: {len(numbers)} pictures, {len(classes)} classes; {len(elsewhere)} elsewhere\n"
        f"  like these {like['error_rate']:.3f} ({like['low']:.3f} to {like['high']:.3f})\n"
        f"  new scenes {said.error_rate} ({said.low} to {said.high}), {said.scenes} scenes by {said.by} {said.reason}\n"
        f"  the truth {truth:.3f}: {'inside' if holds else 'NOT inside'}\n"
    )
    row: dict[str, object] = {"set": name, "pictures": len(numbers), "classes": len(classes)}
    row |= {f"like_{key}": value for key, value in like.items()}
    row |= {key: getattr(said, key) for key in ("error_rate", "low", "high", "scenes", "by", "reason")}
    row |= {"truth": truth, "inside": holds}
    if draws:
        row |= _coverage(first, numbers, known if by else None, len(classes), draws)
    sys.stdout.flush()
    return row


def _coverage(
    pictures: Pictures, numbers: torch.Tensor, known: list[str | None] | None, classes: int, draws: int
) -> dict[str, object]:
    """{what was drawn: share of the intervals that hold the rate it was drawn from}."""
    ways = groupings(pictures.features, known)
    groups = ways[len(ways) // 2]
    head = fit_head([pictures.features], numbers, classes)
    chance, found = np.random.default_rng(0), dict[str, object]()
    alone = np.arange(len(numbers))
    for what, apart in (("like these", alone), ("new scenes", groups)):
        folds = scene_folds(apart, numbers.tolist(), FOLDS)
        wrong = held_out(pictures.features, numbers, OUTPUTS, folds, apart, head).wrong
        rate = float(wrong.mean())
        if what == "like these":
            for count in TEST_PICTURES:
                ends = [error_rate_interval(int(chance.binomial(count, rate)), count) for _ in range(draws)]
                found[f"{count} pictures"] = float(np.mean([low <= rate <= high for low, high in ends]))
        members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
        quarter = max(1, len(members) // 4)
        amounts = {f"{count} scenes": count for count in SCENES} | {"a quarter": quarter, "as many": len(members)}
        for named, count in amounts.items():
            held = 0
            for _ in range(draws):
                drawn = [members[number] for number in chance.integers(0, len(members), count)]
                scenes = np.repeat(np.arange(count), [len(one) for one in drawn])
                flags = wrong[np.concatenate(drawn)]
                low, high = interval([Judged(scenes, flags, np.ones(len(flags), dtype=bool))])
                held += low <= rate <= high
            found[f"{what}, {named}"] = held / draws
    words = ", ".join(f"{what} {share:.3f}" for what, share in found.items())
    sys.stdout.write(f"  {draws} draws; the stated 95 % interval holds the rate they are from: {words}\n")
    return found


if __name__ == "__main__":
    main()
