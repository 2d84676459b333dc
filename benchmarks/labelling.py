"""A heap of pictures named by sheets, beside one by one: how many actions a person who is always right needs.

    PYTHONPATH=. python benchmarks/labelling.py [--set starter=starter cifar10=DIR ...] [--seeds 0 1 2]
        [--wrong 0.01] [--table FILE.csv]

The pictures of class folders come without labels. A scripted person names each sheet by what most of it is (one action)
and strikes out what is something else (one action each), and takes the model's word for the rest once the promise of
``--wrong`` holds (one action). Beside it: sheets of twenty pictures at random, and one by one (an action a picture).
How many pictures have a label after so many actions, and how many of those are right.
A folder that is not there is left out.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.collect.starter_set import write_starter
from pipeline.label.rest import accept_rest
from pipeline.label.sheets import SIZE, answer, counts, next_sheet
from pipeline.stage import run
from pipeline.workspace.workspace import Workspace

SHARES = (0.5, 0.8, 0.9, 0.95, 0.99)


def main() -> None:
    """Each set in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--set", nargs="+", default=["starter=starter"], metavar="NAME=DIR")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="the order in which they come in")
    parser.add_argument("--wrong", type=float, default=0.01, help="of the model's word, so much may be wrong")
    parser.add_argument("--table", type=Path, metavar="FILE.csv")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for text in args.set:
            name, _, place = text.partition("=")
            folder = Path(scratch) / "starter" if place == "starter" else Path(place)
            if place == "starter":
                write_starter(folder)
            if not folder.is_dir():
                sys.stdout.write(f"{name} is left out: there is no folder {folder}\n")
                continue
            for seed in args.seeds:
                workspace, truth = heap(Path(scratch) / f"{name}-{seed}", folder, seed)
                rows += [{"set": name, "seed": seed, **by_sheets(workspace, truth, args.wrong)}]
                rows += [{"set": name, "seed": seed, **at_random(truth, seed)}]
                for row in rows[-2:]:
                    sys.stdout.write(f"{row}\n")
                sys.stdout.flush()
    if args.table and rows:
        with args.table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def heap(root: Path, folder: Path, seed: int) -> tuple[Workspace, dict[str, str]]:
    """A workspace with the pictures of class folders in another order and without labels, and id -> what each is."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    flat = root.with_name(f"{root.name}-pictures")
    flat.mkdir()
    of: dict[str, str] = {}
    for place, number in enumerate(np.random.default_rng(seed).permutation(len(files))):
        file = files[number]
        name = f"{place:05}{file.suffix}"
        (flat / name).symlink_to(file.resolve())
        of[name] = file.relative_to(folder).parts[0]
    workspace = Workspace.create(root)
    run(import_images(workspace, ImportConfig(str(flat), labels_from="none", follow_links=True)))
    images = workspace.store.images()
    assert images["label"].isna().all()
    return workspace, {
        str(row.id): of[Path(str(row.source_name)).name]
        for row in images.itertuples()
        if isinstance(row.source_name, str)
    }


def by_sheets(workspace: Workspace, truth: dict[str, str], wrong: float) -> dict[str, Any]:
    """What the scripted person needs."""
    actions, sheets, seconds, at, looked = 0, 0, [], {}, 0
    while True:
        began = time.monotonic()
        sheet = next_sheet(workspace)
        seconds.append(time.monotonic() - began)
        if sheet is None:
            break
        most = Counter(truth[image] for image in sheet.images).most_common(1)[0][0]
        but = [image for image in sheet.images if truth[image] != most]
        done = answer(workspace, sheet, most, but)
        actions, sheets = actions + 1 + len(but), sheets + 1
        looked += done.named
        if sheets % 5 == 0 and done.left and (taken := accept_rest(workspace, wrong)):
            actions += 1
            sys.stdout.write(f"  after {actions} actions the model's word was taken for {taken}\n")
        labelled = counts(workspace)[0]
        for share in SHARES:
            if share not in at and labelled >= share * len(truth):
                at[share] = actions
    labels = workspace.store.labels()
    right = sum(labels.get(image) == label for image, label in truth.items())
    return {
        "way": "sheets",
        "pictures": len(truth),
        "actions": actions,
        "right": round(right / len(truth), 4),
        "looked_at": looked,
        "first_s": round(seconds[0], 1),
        "sheet_s": round(float(np.median(seconds[1:])), 2),
        **{f"at_{share:g}": at.get(share) for share in SHARES},
    }


def at_random(truth: dict[str, str], seed: int) -> dict[str, Any]:
    """Sheets of pictures at random, until all are named; one by one it is an action a picture."""
    left = list(np.random.default_rng(seed).permutation(sorted(truth)))
    actions, at = 0, {}
    while left:
        sheet, left = left[:SIZE], left[SIZE:]
        most = Counter(truth[image] for image in sheet).most_common(1)[0][0]
        but = [image for image in sheet if truth[image] != most]
        actions, left = actions + 1 + len(but), left + but
        for share in SHARES:
            if share not in at and len(truth) - len(left) >= share * len(truth):
                at[share] = actions
    return {
        "way": "random",
        "pictures": len(truth),
        "actions": actions,
        "right": 1.0,
        "looked_at": len(truth),
        "first_s": 0.0,
        "sheet_s": 0.0,
        **{f"at_{share:g}": at.get(share) for share in SHARES},
    }


if __name__ == "__main__":
    main()
