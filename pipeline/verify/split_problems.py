"""What is wrong with how pictures are divided into train, valid and test, in words that say what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.labels import named
from pipeline.verify.split import SplitConfig
from pipeline.workspace.store import SPLITS

# With fewer, one picture more or less that is known changes the error by a tenth.
SMALL = 10
# With more scenes than so many a split, it is not for their size that one is empty.
ENOUGH = 3
NAMED = 3
WITHOUT = {
    "train": "No picture is in train: there is nothing to learn from.",
    "valid": "No picture is in valid: nothing tells whether training helps.",
    "test": (
        "There is no test split: how often a model is wrong on new pictures cannot be told. The error on valid, by "
        "which training is steered, looks better than it is."
    ),
}
FOR = {"train": "to learn from", "valid": "to steer by", "test": "to be judged by"}


@dataclass(frozen=True)
class SplitProblem:
    """Something about the splits to know. ``kind``: empty (nothing is in ``split``), drawn (it was drawn from the train
    of a source that gave none), class (``labels`` have nothing there), small, or scene (``count`` scenes reach into
    several splits); ``count``: pictures, classes or scenes; ``reason``: what it is and what to do, in words.
    """

    kind: str
    split: str
    labels: tuple[str, ...]
    count: int
    reason: str


def split_problems(ok: pd.DataFrame, config: SplitConfig) -> tuple[SplitProblem, ...]:
    """What to know of the splits of usable images (``ok``: rows of the store). Empty before any split was given."""
    placed = ok[(ok["label"].fillna("") != "") & ok["split"].notna()]
    return tuple(_found(placed, config)) if len(placed) else ()


def _found(placed: pd.DataFrame, config: SplitConfig) -> Iterator[SplitProblem]:
    wanted = {"train": True, "valid": config.valid > 0, "test": config.test > 0}
    asked = set(placed["given_split"].dropna())
    labels = {name: placed[placed["split"] == name]["label"].astype(str) for name in SPLITS}
    everything = sorted({name for label in placed["label"] for name in named(str(label))})
    for split in SPLITS:
        there = labels[split]
        drawn = int(((placed["split"] == split) & (placed["given_split"] == "train")).sum())
        if drawn and split not in asked:
            reason = f"What was imported gives no {split} split: {drawn:,} pictures for it were drawn from its train."
            yield SplitProblem("drawn", split, (), drawn, reason)
        if there.empty:
            if wanted[split] or asked:
                what = _too_large(placed) or _what_to_do(split, asked)
                yield SplitProblem("empty", split, (), 0, f"{WITHOUT[split]} {what}")
            continue
        present = {name for label in there for name in named(label)}
        if missing := tuple(name for name in everything if name not in present):
            few = _in_few_scenes(placed, missing)
            yield SplitProblem("class", split, missing, len(missing), _without(split, missing, few))
        if split != "train" and len(there) < SMALL:
            more = f"Import more pictures for {split}." if asked else "With more pictures it gets its share of them."
            reason = f"Only {_pictures(len(there))} in {split}: too few to tell an error from chance. {more}"
            yield SplitProblem("small", split, (), len(there), reason)
    yield from _scenes(placed)


def _what_to_do(split: str, asked: set[str]) -> str:
    if not asked:
        return "With more pictures it gets its share of them."
    return (
        f"The folders or the table that the pictures came from put none there. Import pictures {FOR[split]}: a folder "
        f"called {split}, or pictures that no folder and no column gives a split, of which some are drawn for it."
    )


def _too_large(placed: pd.DataFrame) -> str:
    """What to say of scenes that left nothing for a split; "" where they are not to blame."""
    scenes = placed["scene"].fillna(placed["id"])
    if placed["given_split"].notna().any() or placed["scene"].isna().all() or scenes.nunique() >= ENOUGH * len(SPLITS):
        return ""
    sizes = placed["scene"].value_counts()
    there = "1 scene" if len(sizes) == 1 else f"{len(sizes):,} scenes"
    return (
        f"No scene is cut in two, and all pictures are of {there}: the largest, “{str(sizes.index[0])[:60]}”, has "
        f"{int(sizes.iloc[0]):,} of {len(placed):,}. Add pictures of other places and days."
    )


def _in_few_scenes(placed: pd.DataFrame, missing: Sequence[str]) -> bool:
    """Whether the classes that a split misses lie in fewer scenes than there are splits."""
    scenes = placed["scene"].fillna(placed["id"])
    of_class = (scenes[[name in named(str(label)) for label in placed["label"]]].nunique() for name in missing)
    return bool(placed["scene"].notna().any()) and all(count < len(SPLITS) for count in of_class)


def _without(split: str, missing: Sequence[str], few_scenes: bool) -> str:
    names = ", ".join(f"“{name}”" for name in missing[:NAMED])
    more = f" and {len(missing) - NAMED:,} more" if len(missing) > NAMED else ""
    has = "has" if len(missing) == 1 else "have"
    if few_scenes:
        why = "No scene is cut in two, and too few were taken: add pictures of other places and days in Collect."
        return f"{names}{more} {has} no picture in {split} {FOR[split]}. {why}"
    return f"{names}{more} {has} no picture in {split} {FOR[split]}. Add pictures in Collect."


def _scenes(placed: pd.DataFrame) -> Iterator[SplitProblem]:
    known = placed[placed["scene"].notna()]
    reaching = int((known.groupby("scene")["split"].nunique() > 1).sum())
    if reaching:
        what = "1 scene reaches" if reaching == 1 else f"{reaching:,} scenes reach"
        cut = known.groupby("scene")["split"].transform("nunique") > 1
        by_source = bool(known[cut]["given_split"].notna().all())
        why = "as their source gave them" if by_source else "which never move once they are given"
        reason = f"{what} into several splits, {why}: the test error looks better than it is."
        yield SplitProblem("scene", "", (), reaching, reason)


def _pictures(number: int) -> str:
    return "1 picture is" if number == 1 else f"{number:,} pictures are"
