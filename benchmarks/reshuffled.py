"""Does cleaning help? Asked by the recipe, which draws the validation images anew, and on the same images, paired.

    PYTHONPATH=. python benchmarks/reshuffled.py [--seeds 100] [--classes apple melon pear] [--plot FILE.svg]

The recipe: the files in order of name; the first 20 % of torch.randperm under a fixed seed are the validation images. A
file that is deleted or moved to another folder changes the list, and so all of that. Here a person cleans a handful of
labels of the messy starter set: the files with the highest losses whose label is wrong, one deleted, the next moved to
its right folder, in turn. Then, for each seed: the error before and after as the recipe reads them; and on the split
as it was, both heads on the same images with their present labels. Heads on the features of the frozen body, read once.
Last, the same through Winnow: a run, as many decisions on train and valid images, a run, their comparison.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from cleaner.clean.decisions import relabel
from cleaner.clean.suspects import suspects
from cleaner.compare.compare import compare
from cleaner.compare.ledger import ledger
from cleaner.compare.paired import paired_interval, verdict
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.collect.starter_set import CLASSES, TRUTH, write_messy
from pipeline.model.head import Head, fit_head
from pipeline.stage import run
from pipeline.train.train import TrainConfig, prepare, train
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace

VALID = 0.2
DULL = 5
Flags: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
Numbers: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Files:
    """The files of a data set in order of name. ``label``, ``truth``: class numbers [N]; ``row``: of the features."""

    name: list[str]
    label: Numbers
    truth: Numbers
    row: Numbers

    def ordered(self, keep: Iterable[int]) -> Files:
        """Those files, in order of name: what the recipe finds on the disk."""
        order = sorted(keep, key=lambda index: self.name[index])
        return Files([self.name[i] for i in order], self.label[order], self.truth[order], self.row[order])


@dataclass(frozen=True)
class Outcome:
    """One seed: errors (shares) as the recipe reads them, and on the ``n`` images of the first split, paired."""

    before: float
    after: float
    moved: float
    fixed: int
    broken: int
    n: int

    @property
    def recipe(self) -> float:
        """By how many points the error changes as the recipe reads it."""
        return 100 * (self.after - self.before)

    @property
    def paired(self) -> float:
        """By how many points it changes on the same images."""
        return 100 * (self.broken - self.fixed) / self.n


def main() -> None:
    """The splitter by itself, then both ways of asking, then Winnow."""
    args = _arguments()
    _moved_by_one_deletion(500)
    with tempfile.TemporaryDirectory() as scratch:
        truth = _truth(Path(scratch) / "messy")
        workspace = Workspace.create(Path(scratch) / "workspace")
        run(import_images(workspace, ImportConfig("starter-messy")))
        run(verify(workspace, VerifyConfig()))
        files, features = _read(workspace, truth, args.classes)
        print(f"\n{len(files.name)} files of {len(args.classes)} classes, {VALID:.0%} of them valid", flush=True)
        outcomes = _all_seeds(files, features, args.seeds, args.handful)
        for name, every in outcomes.items():
            _report(name, every)
        if args.plot:
            args.plot.write_text(_plot(outcomes), encoding="utf-8")
        if tuple(args.classes) == CLASSES:
            _through_winnow(workspace, truth, max(args.handful))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="of the recipe's splitter: 0, 1, 2 ...")
    parser.add_argument("--handful", type=int, nargs="+", default=[10, 30], help="how many labels are cleaned")
    parser.add_argument("--classes", nargs="+", default=list(CLASSES), choices=CLASSES, metavar="CLASS")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the changes of the error")
    return parser.parse_args()


# --- the recipe's splitter -----------------------------------------------------------------------------------------


def valid_of(count: int, seed: int) -> Numbers:
    """The positions that the recipe validates on: the first 20 % of a permutation under this seed."""
    chance = torch.Generator().manual_seed(seed)
    return torch.randperm(count, generator=chance).numpy()[: int(VALID * count)]


def _moved_by_one_deletion(count: int) -> None:
    """How many validation images are in training after any one of ``count`` files was deleted."""
    moved = []
    for seed in range(20):
        first = set(valid_of(count, seed).tolist())
        second = valid_of(count - 1, seed)
        for gone in range(0, count, 7):
            left = first - {gone}
            moved.append(len(left - set((second + (second >= gone)).tolist())))
    print(
        f"one of {count} files deleted: of {len(first)} validation images {np.mean(moved):.0f} are training images now "
        f"({min(moved)} to {max(moved)} over 20 seeds and {len(moved) // 20} files each)",
        flush=True,
    )


# --- the pictures --------------------------------------------------------------------------------------------------


def _truth(folder: Path) -> dict[str, str]:
    """File -> what it shows, of the messy starter set."""
    write_messy(folder)
    with (folder / TRUTH).open(encoding="utf-8", newline="") as table:
        return {row["file"]: row["true_label"] for row in csv.DictReader(table)}


def _read(workspace: Workspace, truth: dict[str, str], classes: Sequence[str]) -> tuple[Files, torch.Tensor]:
    """The files that decode, of these classes, and the features [N, F] of the pictures."""
    task, engine = run(prepare(workspace, TrainConfig()))
    features, _ = run(engine.answers(task.dataset, np.arange(len(task.dataset.rows)), "Reading features", "features"))
    place = {str(image): number for number, image in enumerate(task.dataset.rows["id"])}
    sources = workspace.store.sources()
    known = [(name, place[image]) for name, image in sources[["name", "image_id"]].values if image in place]
    chosen = sorted((n, r) for n, r in known if n.partition("/")[0] in classes and truth[n] in classes)
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers[name.partition("/")[0]] for name, _ in chosen])
    shown = np.array([numbers[truth[name]] for name, _ in chosen])
    return Files([name for name, _ in chosen], labels, shown, np.array([row for _, row in chosen])), features


# --- both ways of asking -------------------------------------------------------------------------------------------


def _all_seeds(files: Files, features: torch.Tensor, seeds: int, handful: Iterable[int]) -> dict[str, list[Outcome]]:
    """What was done to the files -> the outcome of each seed."""
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    right = _clean(files, np.arange(len(files.name)), 0, len(files.name)).ordered(range(len(files.name)))
    for seed in range(seeds):
        head = _fit(files, features, ~_split(files, seed))
        losses = cross_entropy(head(features[files.row]), torch.from_numpy(files.label), reduction="none")
        worst = losses.argsort(descending=True).numpy()
        cleaned = {"1 file deleted": _delete(files, 1, seed)}
        cleaned |= {
            f"{count} labels cleaned": _clean(files, worst, count - count // 2, count // 2) for count in handful
        }
        for name, now in cleaned.items():
            outcomes[name].append(_both_ways(files, now, features, head, seed))
        head = _fit(right, features, ~_split(right, seed))
        tidied = _delete(right, DULL, seed)
        outcomes[f"all labels right, {DULL} files deleted"].append(_both_ways(right, tidied, features, head, seed))
    return dict(outcomes)


def _both_ways(files: Files, cleaned: Files, features: torch.Tensor, head: Head, seed: int) -> Outcome:
    """``head`` was fitted to the train part of ``files``, which are ``cleaned`` now."""
    valid = _split(files, seed)
    # As the recipe reads it: the cleaned files are listed, split and learnt anew.
    listed = cleaned.ordered(range(len(cleaned.name)))
    anew = _split(listed, seed)
    again = _fit(listed, features, ~anew)
    # On the same images: the split is kept for every file that is still there.
    was_valid = {_number(name) for name, inside in zip(files.name, valid, strict=True) if inside}
    kept = np.array([_number(name) in was_valid for name in cleaned.name])
    now_valid = {_number(name) for name, inside in zip(listed.name, anew, strict=True) if inside}
    stable = _fit(cleaned, features, ~kept)
    wrong_before, wrong_after = (_wrong(one, cleaned, features, kept) for one in (head, stable))
    return Outcome(
        before=float(_wrong(head, files, features, valid).mean()),
        after=float(_wrong(again, listed, features, anew).mean()),
        moved=100 * len(was_valid & {_number(name) for name in cleaned.name} - now_valid) / len(was_valid),
        fixed=int((wrong_before & ~wrong_after).sum()),
        broken=int((~wrong_before & wrong_after).sum()),
        n=int(kept.sum()),
    )


def _split(files: Files, seed: int) -> Flags:
    """[N]: whether the recipe validates on each file."""
    valid = np.zeros(len(files.name), dtype=bool)
    valid[valid_of(len(files.name), seed)] = True
    return valid


def _delete(files: Files, count: int, seed: int) -> Files:
    """Without some files whose labels are right, drawn at random: the data are not better for it, and hardly worse."""
    chance = np.random.default_rng(seed)
    gone = set(chance.choice(np.flatnonzero(files.label == files.truth), count, replace=False).tolist())
    return files.ordered(index for index in range(len(files.name)) if index not in gone)


def _clean(files: Files, order: Numbers, deleted: int, moved: int) -> Files:
    """The first wrong labels in that order: deleted and moved to the right folder in turn, so many of each."""
    wrong = [int(index) for index in order if files.label[index] != files.truth[index]][: deleted + moved]
    gone = set(wrong[::2][:deleted])
    classes = {int(number): name.partition("/")[0] for number, name in zip(files.label, files.name, strict=True)}
    names, labels = list(files.name), files.label.copy()
    for index in set(wrong) - gone:
        labels[index] = files.truth[index]
        names[index] = f"{classes[int(labels[index])]}/{_number(names[index])}"
    kept = [index for index in range(len(names)) if index not in gone]
    return Files([names[i] for i in kept], labels[kept], files.truth[kept], files.row[kept])


def _number(name: str) -> str:
    """The file's own name, which it keeps in every folder."""
    return name.partition("/")[2]


def _fit(files: Files, features: torch.Tensor, train: Flags) -> Head:
    rows = np.flatnonzero(train)
    return fit_head([features[files.row[rows]]], torch.from_numpy(files.label[rows]), int(files.truth.max()) + 1)


def _wrong(head: Head, files: Files, features: torch.Tensor, some: Flags) -> Flags:
    said = head(features[files.row[some]]).argmax(dim=1).numpy()
    wrong: Flags = said != files.label[some]
    return wrong


# --- what came out -------------------------------------------------------------------------------------------------


def _report(name: str, outcomes: Sequence[Outcome]) -> None:
    recipe, paired = np.array([o.recipe for o in outcomes]), np.array([o.paired for o in outcomes])
    said = Counter(verdict(o.fixed, o.broken, o.n) for o in outcomes)
    worst = max(outcomes, key=lambda outcome: outcome.recipe)
    least = min(outcomes, key=lambda outcome: abs(100 * outcome.before - 1.8) + abs(100 * outcome.after - 5.6))
    low, high = paired_interval(worst.fixed, worst.broken, worst.n)
    print(
        f"\n{name}, {len(outcomes)} seeds\n"
        f"  validation images that became training images: {np.mean([o.moved for o in outcomes]):.0f} %\n"
        f"  recipe: error {np.mean([100 * o.before for o in outcomes]):.1f} % before, changes by {_spread(recipe)}; "
        f"worse in {sum(recipe > 0)}, better in {sum(recipe < 0)}\n"
        f"  same images: changes by {_spread(paired)}; worse in {sum(paired > 0)}, better in {sum(paired < 0)}; "
        f"{dict(said)}\n"
        f"  recipe worse though better or the same on the same images: {sum((recipe > 0) & (paired <= 0))}; "
        f"better though worse or the same: {sum((recipe < 0) & (paired >= 0))}\n"
        f"  the recipe's worst: from {worst.before:.1%} to {worst.after:.1%}; on the same images {worst.paired:+.1f} "
        f"points ({100 * low:+.1f} to {100 * high:+.1f}), {worst.fixed} fixed, {worst.broken} broken of {worst.n}\n"
        f"  nearest to 1.8 % -> 5.6 %: from {least.before:.1%} to {least.after:.1%}; "
        f"on the same images {least.paired:+.1f} points",
        flush=True,
    )


def _spread(points: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return f"{points.mean():+.1f} points (sd {points.std():.1f}, {points.min():+.1f} to {points.max():+.1f})"


def _through_winnow(workspace: Workspace, truth: dict[str, str], count: int) -> None:
    """A run, decisions on what its queue doubts most, a run with the same settings, the comparison and the ledger."""
    config = TrainConfig(layers="head")
    before = run(train(workspace, config))
    shown = {str(image): truth[str(name)] for image, name in workspace.store.images()[["id", "source_name"]].values}
    queue = suspects(workspace, before)
    wrong = [str(image) for image, label in queue[["id", "label"]].values if shown[str(image)] != label][:count]
    looked = max((int(number) for number in np.flatnonzero(queue["id"].isin(wrong))), default=-1) + 1
    for image in wrong:
        relabel(workspace, image, shown[image])
    after = run(train(workspace, config))
    print(f"\nWinnow: {len(wrong)} wrong labels mended, all of the first {looked} in the queue")
    print(compare(workspace, before, after).words)
    for row in ledger(workspace).runs:
        print(row)


# --- the plot ------------------------------------------------------------------------------------------------------


def _plot(outcomes: dict[str, list[Outcome]]) -> str:
    """An SVG: each seed's change of the error, in the way of the recipe and on the same images."""
    bound = max(abs(value) for every in outcomes.values() for o in every for value in (o.recipe, o.paired))
    wide, left, step = 760, 190, 58
    rows = [(f"{name}: {way}", way, every) for name, every in outcomes.items() for way in ("recipe", "same images")]
    high = 60 + step * len(rows)

    def across(points: float) -> float:
        return left + (wide - left - 20) * (points + bound) / (2 * bound)

    words = "points of the error rate, after against before; one dot a seed; left of the line: fewer errors"
    marks = [f'<text x="{across(0):.1f}" y="{high - 8}" text-anchor="middle">{words}</text>']
    marks += [f'<line x1="{across(0):.1f}" x2="{across(0):.1f}" y1="8" y2="{high - 40}" stroke="#888"/>']
    for points in range(-int(bound) // 4 * 4, int(bound) + 1, 4):
        marks.append(f'<text x="{across(points):.1f}" y="{high - 26}" text-anchor="middle">{points:+d}</text>')
    for number, (title, way, every) in enumerate(rows):
        y, colour = 36 + step * number, {"recipe": "#c2410c", "same images": "#0f766e"}[way]
        marks.append(f'<text x="8" y="{y + 4}">{title}</text>')
        places = [round(across(o.recipe if way == "recipe" else o.paired) / 5) * 5 for o in every]
        for x, dots in Counter(places).items():
            apart = min(3.0, 50 / dots)
            marks += [
                f'<circle cx="{x}" cy="{y + apart * (dot - (dots - 1) / 2):.1f}" r="2.4" fill="{colour}"/>'
                for dot in range(dots)
            ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">'
        f'<title>Change of the error in points after cleaning, one dot a seed</title><rect width="{wide}" '
        f'height="{high}" fill="#fff"/>{"".join(marks)}</svg>\n'
    )


if __name__ == "__main__":
    main()
