"""Stable, stratified splits by duplicate group: given once, written down, never moved."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from pipeline.errors import UsageError
from pipeline.settings import setting
from pipeline.workspace.store import SPLITS
from pipeline.workspace.workspace import Workspace

UNLABELLED = ""


@dataclass(frozen=True)
class SplitConfig:
    """How splits are drawn; what is neither valid nor test is train. Raises UsageError where nothing would be."""

    valid: float = setting(0.15, "share of the valid split")
    test: float = setting(0.15, "share of the test split")
    seed: int = setting(0, "draws the splits")

    def __post_init__(self) -> None:
        if self.valid < 0 or self.test < 0 or self.valid + self.test >= 1:
            raise UsageError("The shares of valid and test must not be negative, and together less than 1.")


def assign_splits(workspace: Workspace, config: SplitConfig | None = None) -> dict[str, str]:
    """Give every usable image without a split its split; returns what was given (id -> split).

    The configuration of the first call that gives any is kept with the workspace, so that later images are drawn the
    same way.
    """
    store = workspace.store
    kept = store.fact("split")
    settings = SplitConfig(**kept) if kept else config or SplitConfig()
    given = new_splits(store.images(), settings)
    if given and not kept:
        store.set_fact("split", asdict(settings))
    store.set_splits(given)
    return given


def new_splits(images: pd.DataFrame, config: SplitConfig) -> dict[str, str]:
    """id -> split for the 'ok' images of a store's table that have none yet.

    In this order: the split of the image's duplicate group, the split its source gave it, or, for a group that is new,
    the split that its class is most short of (so any prefix of the images is stratified). Groups are drawn in an order
    that depends on the seed and their name only.
    """
    rows = images.assign(group=images["group"].fillna(images["id"]), label=images["label"].fillna(UNLABELLED))
    groups: dict[str, str] = {}
    for row in rows[rows["split"].notna()].itertuples():
        groups.setdefault(str(row.group), str(row.split))
    new = rows[(rows["status"] == "ok") & rows["split"].isna()]
    chosen: dict[str, str] = {}
    for row in new[new["given_split"].notna()].itertuples():
        chosen[str(row.id)] = groups.setdefault(str(row.group), str(row.given_split))
    counts = _counts(rows, chosen)
    labels = {str(row.group): str(row.label) for row in new[::-1].itertuples()}  # of the oldest image of each group

    def drawn(group: str) -> str:
        return hashlib.sha256(f"{config.seed}:{group}".encode()).hexdigest()

    for group in sorted(labels.keys() - groups.keys(), key=drawn):
        label = labels[group]
        groups[group] = _most_wanted(counts.setdefault(label, Counter()), config)
        counts[label][groups[group]] += 1
    return {str(row.id): groups[str(row.group)] for row in new.itertuples()}


def leaks(images: pd.DataFrame) -> list[list[str]]:
    """The duplicate groups that reach into more than one split, as lists of image ids."""
    usable = images[(images["status"] == "ok") & images["split"].notna() & images["group"].notna()]
    splits = usable.groupby("group")["split"].nunique()
    reaching = usable[usable["group"].isin(splits[splits > 1].index)]
    return [sorted(group["id"]) for _, group in reaching.groupby("group", sort=True)]


def given_leaks(ok: pd.DataFrame, sources: pd.DataFrame) -> list[list[str]]:
    """The duplicate groups whose sources asked for more than one split, as lists of image ids.

    ``ok`` has the columns id and group, ``sources`` image_id and given_split.
    """
    asked = sources[["image_id", "given_split"]].dropna().merge(ok[["id", "group"]], left_on="image_id", right_on="id")
    asked = asked.assign(group=asked["group"].fillna(asked["id"]))
    splits = asked.groupby("group")["given_split"].nunique()
    leaking = set(splits[splits > 1].index)
    members = ok[ok["group"].fillna(ok["id"]).isin(leaking)]
    return [sorted(group["id"]) for _, group in members.groupby(members["group"].fillna(members["id"]), sort=True)]


def _counts(rows: pd.DataFrame, chosen: Mapping[str, str]) -> dict[str, Counter[str]]:
    """Duplicate groups per label and split, so far."""
    split = rows["split"].where(rows["split"].notna(), rows["id"].map(dict(chosen)))
    known = rows.assign(split=split)[split.notna()].drop_duplicates("group")
    counts: dict[str, Counter[str]] = {}
    for label, name in zip(known["label"], known["split"], strict=True):
        counts.setdefault(str(label), Counter())[str(name)] += 1
    return counts


def _most_wanted(counts: Counter[str], config: SplitConfig) -> str:
    """The split furthest below its share once one more group is placed; ties go to train, then valid."""
    shares = {"train": 1 - config.valid - config.test, "valid": config.valid, "test": config.test}
    total = counts.total() + 1
    return max(SPLITS, key=lambda name: (round(shares[name] * total - counts[name], 9), -SPLITS.index(name)))
