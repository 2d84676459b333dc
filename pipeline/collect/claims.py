"""Rows and the files they name: which file each means, what several rows say of one, and what is not there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TypeVar

from pipeline.collect.cells import Row, several_labels
from pipeline.collect.columns import Meaning
from pipeline.collect.entries import Refused, shown
from pipeline.collect.finder import BY_NAME, OTHER_ENDING, Sighting
from pipeline.labels import in_words

# A file that is not there is told by itself where there are no more than this.
FEW = 5
Thing = TypeVar("Thing", bound=Hashable)


@dataclass(frozen=True)
class Claims:
    """What rows say of things (files, URLs): ``row`` of each the one that counts; ``others``: those that call a thing
    otherwise, in the order of the table. ``notes`` say what was joined and what is in conflict.
    """

    rows: Mapping[Hashable, Row] = field(default_factory=dict)
    others: Mapping[Hashable, tuple[Row, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placed:
    """Rows by the file that they mean; ``missing``: rows whose file is not there, and why, in words."""

    rows: dict[PurePosixPath, list[Row]]
    missing: list[tuple[Row, str]]
    notes: tuple[str, ...] = ()


def placed(table: str, rows: Iterable[Row], find: Callable[[Row], Sighting]) -> Placed:
    """Which file each row means. Where one row names a file and another only comes near it, the first counts."""
    found: dict[PurePosixPath, list[tuple[int, Row]]] = {}
    missing: list[tuple[Row, str]] = []
    for row in rows:
        sighting = find(row)
        if len(sighting.paths) > 1 and row.label:  # in a folder for its class, perhaps
            within = find(replace(row, path=f"{row.label}/{row.path}"))
            sighting = within if within.path is not None and within.how != BY_NAME else sighting
        if sighting.path is not None:
            found.setdefault(sighting.path, []).append((sighting.how, row))
        elif sighting.paths:
            names = ", ".join(shown(path) for path in sighting.paths[:3])
            missing.append((row, f"'{row.path[:200]}' may be several files: {names}."))
        else:
            missing.append((row, f"There is no file {row.path[:200]}."))
    by_name = 0
    kept: dict[PurePosixPath, list[Row]] = {}
    for path, named in found.items():
        named_well = min(how for how, _ in named) <= OTHER_ENDING
        kept[path] = [row for how, row in named if how <= OTHER_ENDING or not named_well]
        missing += [
            (row, f"There is no file {row.path[:200]}.") for how, row in named if how > OTHER_ENDING and named_well
        ]
        by_name += not named_well and all(how == BY_NAME for how, _ in named)
    notes = []
    if by_name:
        example = next(path for path, named in found.items() if all(how == BY_NAME for how, _ in named))
        files = "files were" if by_name > 1 else "file was"
        notes.append(
            f"{table}: {by_name:,} {files} found by name alone, in another folder than the table says, "
            f"like {shown(example)} for '{found[example][0][1].path[:100]}'."
        )
    return Placed(kept, sorted(missing, key=lambda one: one[0].line), tuple(notes))


def not_there(missing: Sequence[tuple[Row, str]], prefix: str = "") -> list[Refused]:
    """Rows whose file is not there: a line each where they are FEW, else one with a hint."""
    if len(missing) <= FEW:
        return [Refused(f"{prefix}line {row.line}", reason) for row, reason in missing]
    (first, reason), last = missing[0], missing[-1][0]
    return [
        Refused(
            f"{prefix}lines {first.line} to {last.line}",
            f"{reason} So it is with {len(missing) - 1:,} more rows. Import the folder or the archive that holds both "
            "the table and the pictures; if the paths are in another column, name it (--file-column).",
        )
    ]


def claims(table: str, rows: Mapping[Thing, Sequence[Row]], meaning: Meaning, called: str = "file") -> Claims:
    """What rows say of each thing, where several may speak of one.

    Rows that say the same are one. Different labels of one thing are several labels where rows are parts of pictures
    (boxes), or where many things have several rows, with different labels together; else they are a conflict: the first
    counts, the others are kept beside it.
    """
    labels = {thing: list(dict.fromkeys(row.label for row in named if row.label)) for thing, named in rows.items()}
    several = {thing: found for thing, found in labels.items() if len(found) > 1}
    joined = _are_several(len(rows), [frozenset(found) for found in several.values()], meaning)
    counts: dict[Hashable, Row] = {}
    others: dict[Hashable, tuple[Row, ...]] = {}
    repeated = splits = 0
    for thing, named in rows.items():
        first = next((row for row in named if row.label), named[0])
        told = {row.split: row for row in named if row.split}
        splits += len(told) > 1
        row = replace(
            first,
            split=next(iter(told), None),
            scene=next((one.scene for one in named if one.scene), None),
        )
        if thing in several and joined:
            row = replace(row, label=several_labels(several[thing]))
        elif thing in several:
            firsts = {one.label: one for one in reversed(named) if one.label}
            others[thing] = tuple(firsts[label] for label in several[thing] if label != row.label)
        repeated += len(named) - max(1, len(labels[thing])) if not meaning.boxes else 0
        counts[thing] = row
    notes = []
    if several:
        example = next(iter(several))
        like = (
            f"like {shown(rows[example][0].path or rows[example][0].url)}: {', '.join(map(in_words, several[example]))}"
        )
        many = f"{len(several):,} {called}{'s stand' if len(several) > 1 else ' stands'} in several rows"
        if joined:
            notes.append(f"{table}: {many} with different labels, {like}. They have several labels.")
        else:
            notes.append(
                f"{table}: {many} that call them differently, {like}. The first label counts; Verify shows them as "
                "conflicts."
            )
    if repeated:
        notes.append(f"{table}: {repeated:,} row{'s repeat' if repeated > 1 else ' repeats'} what another one says.")
    if splits:
        notes.append(
            f"{table}: {splits:,} {called}{'s are' if splits > 1 else ' is'} in several splits; the first counts."
        )
    return Claims(counts, others, tuple(notes))


def also_called(others: Iterable[Row]) -> tuple[str, ...]:
    """The labels of rows that call a thing otherwise."""
    return tuple(row.label for row in others if row.label is not None)


def _are_several(things: int, together: Sequence[frozenset[str]], meaning: Meaning) -> bool:
    """Whether different labels of one thing are all meant."""
    if meaning.boxes or not together:
        return meaning.boxes
    many = len(together) * 2 >= things or (len(together) >= 3 and len(together) * 5 >= things)
    return many and len(set(together)) > 1 and not meaning.annotators
