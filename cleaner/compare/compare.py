"""Two runs on the same images: what changed, with an interval, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cleaner.clean.audit import audits, in_words
from cleaner.compare.paired import MOST_IMAGES, mcnemar, more_images, paired_interval, verdict
from cleaner.review.today import EVERY, Today, today
from pipeline.errors import NotEnoughData
from pipeline.labels import named
from pipeline.predict import SEVERAL
from pipeline.train.evaluate import error_rate_interval
from pipeline.train.new_scenes import probably, stated
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

ROUGH = 10
# What may differ between two trainings with the same settings.
BESIDE_THE_SETTINGS = ("note", "device")


@dataclass(frozen=True)
class Rate:
    """One run's share of wrong answers, with its own 95 % interval: ``errors`` of n images."""

    run: str
    errors: int
    error_rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Run ``b`` against run ``a`` on the same ``n`` images of ``split``.

    ``difference`` = error rate of b - error rate of a (below 0: b makes fewer errors), with its paired 95 % interval
    ``low`` to ``high``; ``split`` is "every" where all images were asked for. ``fixed``: a wrong, b right; ``broken``:
    a right, b wrong, with the ids of these images. ``p`` is that of the exact McNemar test; ``verdict`` is "better",
    "worse" or "cannot be told apart". ``needed``: about how many more images would tell (:func:`more_images`); 0 where
    these do, None where none would. ``words`` says it all in plain sentences, ``notes`` among them: what to know before
    one believes it. ``new_scenes``: what the two runs say of scenes they did not learn from, as
    :class:`pipeline.train.new_scenes.NewScenes`, None for an earlier version's.
    """

    a: Rate
    b: Rate
    split: str
    n: int
    fixed: int
    broken: int
    difference: float
    low: float
    high: float
    p: float
    verdict: str
    needed: int | None
    fixed_images: list[str]
    broken_images: list[str]
    notes: list[str]
    words: str
    new_scenes: dict[str, dict[str, Any] | None]

    @property
    def summary(self) -> str:
        """``words`` without the notes."""
        return self.words.removesuffix(" ".join(self.notes)).strip()


@dataclass(frozen=True)
class Pairs:
    """The answers of two runs to the same images of ``split``, as they look today.

    ``table``: id, file, label, predicted, probability, loss (of ``after``), predicted_before, probability_before, wrong
    and wrong_before; changed and changed_before, unknown and unknown_before as in :class:`Today`.
    """

    before: Today
    after: Today
    split: str
    table: pd.DataFrame
    audit: str = ""

    @property
    def opened(self) -> str:
        """The split whose images may be looked at."""
        return "test" if self.split == EVERY else self.split

    @property
    def what(self) -> str:
        """One of the images that are compared, in words."""
        return "image" if self.split == EVERY else f"{self.split} image"

    @property
    def fixed(self) -> pd.DataFrame:
        """The images that the run before has wrong and the run after has right."""
        return self.table[self.table["wrong_before"] & ~self.table["wrong"]]

    @property
    def broken(self) -> pd.DataFrame:
        """The images that the run before has right and the run after has wrong."""
        return self.table[~self.table["wrong_before"] & self.table["wrong"]]


def compare(workspace: Workspace, run_a: Run, run_b: Run, every: bool = False) -> Comparison:
    """What run ``run_b`` does better or worse than ``run_a``, judged by the labels of today.

    On the test images that both runs predicted and that are still in use; where there are none, on the valid images
    (``words`` says so). With ``every``, on those of train and valid too, which heads answered that did not learn from
    them: more images tell finer differences. Raises NotEnoughData where the runs share none.

    >>> after, before = w.list_runs(ws)
    >>> found = w.compare(ws, before, after)
    >>> found.verdict, found.n
    ('cannot be told apart', 9)
    """
    return comparison(pairs(workspace, run_a, run_b, every))


def pairs(workspace: Workspace, run_a: Run, run_b: Run, every: bool = False) -> Pairs:
    """The answers that are compared; errors as of :func:`compare`."""
    images = workspace.store.images()
    before, after = (today(workspace, run, images, out_of_fold=every) for run in (run_a, run_b))
    return paired(workspace, before, after, (EVERY,) if every else ("test", "valid"))


def paired(workspace: Workspace, before: Today, after: Today, splits: Iterable[str] = ("test", "valid")) -> Pairs:
    """:func:`pairs` of runs that were looked at already, on the first of the ``splits`` that has any."""
    both = before.run, after.run
    for split in splits:
        earlier, later = before.on(split), after.on(split)
        earlier = earlier[["id", "predicted", "probability", "wrong", "changed", "unknown"]]
        table = later.merge(earlier, on="id", suffixes=("", "_before"))
        if len(table):
            return Pairs(before, after, split, table, in_words(audits(workspace)))
    raise NotEnoughData(
        f"Runs {both[0].name} and {both[1].name} have no test or valid image in common that is still in use. "
        "Train again, and compare with the new run."
    )


def comparison(found: Pairs) -> Comparison:
    """What the pairs show."""
    n, table = len(found.table), found.table
    fixed, broken = found.fixed["id"].astype(str).tolist(), found.broken["id"].astype(str).tolist()
    a = _rate(found.before.run.id, int(table["wrong_before"].sum()), n)
    b = _rate(found.after.run.id, int(table["wrong"].sum()), n)
    low, high = paired_interval(len(fixed), len(broken), n)
    said = verdict(len(fixed), len(broken), n)
    needed = more_images(len(fixed), len(broken), n) if low <= 0 <= high else 0
    notes = list(_notes(found))
    words = [*_words(found, a, b, said, needed), *notes]
    return Comparison(
        a,
        b,
        found.split,
        n,
        len(fixed),
        len(broken),
        (len(broken) - len(fixed)) / n,
        low,
        high,
        mcnemar(len(fixed), len(broken)),
        said,
        needed,
        fixed,
        broken,
        notes,
        " ".join(words),
        {side: stated(look.run.record) for side, look in (("a", found.before), ("b", found.after))},
    )


def _rate(run: str, errors: int, n: int) -> Rate:
    return Rate(run, errors, errors / n, *error_rate_interval(errors, n))


# --- in words ------------------------------------------------------------------------------------------------------


def _words(found: Pairs, a: Rate, b: Rate, said: str, needed: int | None) -> Iterator[str]:
    n, fixed, broken = len(found.table), len(found.fixed), len(found.broken)
    low, high = (f"{100 * bound:+.1f}" for bound in paired_interval(fixed, broken, n))
    yield _verdict(found, said, needed)
    yield (
        f"On the same {_count(n, found.what)}, judged by the labels of today, the errors go from "
        f"{a.errors} ({a.error_rate:.1%}) to {b.errors} ({b.error_rate:.1%}): {fixed} wrong before and right now, "
        f"{broken} right before and wrong now."
    )
    yield f"The error rate changes by {100 * (b.error_rate - a.error_rate):+.1f} points (95% interval {low} to {high})."
    yield from _elsewhere(found)


def _elsewhere(found: Pairs) -> Iterator[str]:
    """What the runs say of places they did not learn from."""
    said = [probably(look.run.record) for look in (found.before, found.after)]
    if all(said) and found.before.run.id != found.after.run.id:
        a, b = _names(found)
        yield f"In a new place run {a} is probably wrong on {said[0]}, run {b} on {said[1]}."


def _verdict(found: Pairs, said: str, needed: int | None) -> str:
    """The verdict, and what it would take to tell the runs apart, in plain sentences."""
    a, b = _names(found)
    if said != "cannot be told apart":
        return f"Run {b} is {said} than run {a}."
    apart = f"Runs {a} and {b} cannot be told apart on these images"
    if needed is None:
        return f"{apart}: the difference seen is zero, and no number of images would show one."
    many = f"more than {needed:,}" if needed >= MOST_IMAGES else f"about {needed:,}"
    words = f"{apart}: you would need {many} more {found.what}{'' if needed == 1 else 's'}"
    differing = len(found.fixed) + len(found.broken)
    rough = f" It is a rough guess, as they differ in {_count(differing, 'image')} only." if differing < ROUGH else ""
    return f"{words}, if the difference seen is real.{rough}"


def _names(found: Pairs) -> tuple[str, str]:
    before, after = found.before.run, found.after.run
    return (before.id, after.id) if before.name == after.name else (before.name, after.name)


def _notes(found: Pairs) -> Iterator[str]:
    """What to know before one believes the numbers."""
    if found.split == EVERY:
        yield (
            "The images of train and valid are answered by heads that did not learn from them, on the backbone as it "
            "came: what tuning the layers below changed shows in the test images only."
        )
    elif found.split != "test":
        yield "There is no test image in common, so this is on valid images, which training has looked at."
    yield from _changed(found)
    if found.audit:
        yield found.audit
    yield from _about_classes(found)
    yield from _left_out(found)
    if any(SEVERAL in label for column in ("label", "predicted") for label in found.table[column].astype(str)):
        yield "An image with several labels counts as right only where the answer names all of them and no other."
    yield from _about_training(found)


def _changed(found: Pairs) -> Iterator[str]:
    """That labels which both runs are judged by were changed since the older of them."""
    older, newer = sorted((found.before, found.after), key=lambda today: today.run.created)
    changed = int(found.table["changed_before" if older is found.before else "changed"].sum())
    if changed and newer.run.id != older.run.id:
        a, b = _names(found)
        whose = _count(changed, found.what)
        yield (
            f"The {'labels' if changed > 1 else 'label'} of {whose} {'were' if changed > 1 else 'was'} changed by hand "
            f"since run {a if older is found.before else b}; both runs are judged by the labels of today."
        )


def _about_classes(found: Pairs) -> Iterator[str]:
    for old, new in {**found.before.renamed, **found.after.renamed}.items():
        yield f"The class {old} is called {new} now, and answers are read so."
    for today_, name, side in zip((found.before, found.after), _names(found), ("_before", ""), strict=True):
        said = frozenset().union(*(named(label) for label in found.table[f"predicted{side}"].astype(str).unique()))
        if vanished := [old for old in today_.vanished if old in said]:
            yield f"No image is called {_or(vanished)} any more: where run {name} answers that, it is wrong."
        if unknown := int(found.table[f"unknown{side}"].sum()):
            yield f"Run {name} does not know the class of {_count(unknown, 'image')}, and so has them wrong."


def _left_out(found: Pairs) -> Iterator[str]:
    shared = len(found.table)
    looks = found.before, found.after
    gone = max(look.gone_from(found.split) for look in looks)
    if gone:
        yield f"{_count(gone, found.what)} removed or set aside since {_do(gone)} not count."
    for look, name in zip(looks, _names(found), strict=True):
        if alone := len(look.on(found.split)) - shared:
            yield f"{_count(alone, found.what)} that only run {name} was asked about {_do(alone)} not count."


def _about_training(found: Pairs) -> Iterator[str]:
    before, after = found.before.run, found.after.run
    if before.id == after.id:
        yield "This is one and the same run."
        return
    one, other = (run.record.get("config") or {} for run in (before, after))
    differing = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    if settings := [name.replace("_", " ") for name in differing if name not in BESIDE_THE_SETTINGS]:
        yield (
            f"The two were not trained with the same settings ({', '.join(settings[:5])}"
            f"{' and more' if len(settings) > 5 else ''}), so this is not what cleaning alone did."
        )
    version = before.record.get("data_version")
    if version and version == after.record.get("data_version"):
        yield "Both were trained on the same images with the same labels: nothing was cleaned between them."


def _or(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _do(number: int) -> str:
    return "does" if number == 1 else "do"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
