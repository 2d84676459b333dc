"""What a source means, as a value: shown to a person before anything of it is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from pipeline.collect.entries import Entry, Link, Refused
from pipeline.predict import SEVERAL


@dataclass(frozen=True)
class Choice:
    """One way to read a source, or to answer a question about it; ``told``: the fields of ImportConfig that say so."""

    words: str
    told: Mapping[str, object]


@dataclass(frozen=True)
class Question:
    """What the source leaves open. The first of ``choices`` is taken where nobody is asked."""

    text: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Columns:
    """The columns of a table that was read, with its first ``rows`` (cells cut short), and which column each of its
    ``roles`` is (file, label, labels, split, scene, url): what one needs to see to name other ones.
    """

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """How a folder, an archive or a table is read. Every file of it is accounted for: it is the file of one of
    ``entries``, one of ``tables`` that were read, ``refused`` with a reason, or counted in ``left_out``.

    ``layout`` says it in words; ``others`` is what else it could be; ``notes`` are what a person should know, of which
    nothing is lost; ``columns`` those of the tables that were read. ``left_out``: kind of file (in words) -> how many.
    ``empty``: class folders without a picture.
    """

    layout: str
    entries: tuple[Entry, ...] = ()
    links: tuple[Link, ...] = ()
    refused: tuple[Refused, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    others: tuple[Choice, ...] = ()
    columns: tuple[Columns, ...] = ()

    @property
    def unlabelled(self) -> int:
        """How many pictures have no label."""
        return sum(entry.label is None for entry in self.entries)

    def all(self) -> Iterator[Entry | Link]:
        """The entries, then the links."""
        yield from self.entries
        yield from self.links

    def counts(self) -> dict[str, dict[str, int]]:
        """label (several joined by ``|``, "" for none) -> split ("" for none) -> how many entries and links."""
        found: dict[str, dict[str, int]] = {}
        for one in self.all():
            splits = found.setdefault(one.label or "", {})
            splits[one.split or ""] = splits.get(one.split or "", 0) + 1
        return dict(sorted(found.items()))


def in_words(reading: Reading, origins: Mapping[str, int] | None = None) -> str:
    """How many pictures have labels, from where (``origins``: where from -> how many), and how they are split."""
    counts = reading.counts()
    unlabelled = [one for one in reading.all() if one.label is None]
    counts.pop("", None)
    classes = {name for label in counts for name in label.split(SEVERAL)}
    origins = origins or {"": sum(sum(splits.values()) for splits in counts.values())}
    parts: list[str] = []
    for origin, count in sorted(origins.items(), key=lambda one: (-one[1], one[0])):
        if not count:
            continue
        words = f"{count:,}" if parts else number(count, "picture")
        where = f" from {origin}" if origin else f" of {number(len(classes), 'class', 'classes')}"
        parts.append(f"{words} with labels{where}")
    if unlabelled:
        folders = Counter(PurePosixPath(one.name).parent for one in unlabelled if isinstance(one, Entry))
        where = few(
            [
                f"{folder}/"
                for folder, _ in sorted(folders.items(), key=lambda one: (-one[1], str(one[0])))
                if folder.name
            ]
        )
        words = f"{len(unlabelled):,}" if parts else number(len(unlabelled), "picture")
        parts.append(f"{words} without labels{f' from {where}' if where else ''}")
    splits = Counter(one.split for one in reading.all() if one.split)
    named = ", ".join(f"{splits[split]:,} {split}" for split in ("train", "valid", "test") if splits[split])
    return f"{', '.join(parts) or 'no pictures'}; {named or 'nothing is split yet'}"


def at_most(reading: Reading, most: int) -> Reading:
    """The reading with at most so many pictures: of each label in each split its share, one at least where there is
    room for that, evenly spread over what there is.
    """
    everything = tuple(reading.all())
    if len(everything) <= most:
        return reading
    groups: dict[tuple[str | None, str | None], list[int]] = {}
    for n, one in enumerate(everything):
        groups.setdefault((one.label, one.split), []).append(n)
    met: Counter[str | None] = Counter()
    turns = []
    for key, group in groups.items():
        turns += [((k + 0.5) / len(group) if k else 0.0, -len(group), met[key[1]], key) for k in range(len(group))]
        met[key[1]] += 1  # of groups that are alike, the splits take turns
    turns.sort(key=lambda turn: turn[:3])
    shares = Counter(turn[3] for turn in turns[:most])
    chosen = sorted(groups[key][k * len(groups[key]) // share] for key, share in shares.items() for k in range(share))
    return replace(
        reading,
        entries=tuple(one for n in chosen if isinstance(one := everything[n], Entry)),
        links=tuple(one for n in chosen if isinstance(one := everything[n], Link)),
        notes=(*reading.notes, f"Of {len(everything):,} pictures {most:,} are taken, spread over all of them (--max)."),
    )


def left_out_in_words(left_out: Mapping[str, int]) -> str:
    """What was left out by kind, in a sentence."""
    return f"Left out: {', '.join(f'{kind} ({count:,})' for kind, count in left_out.items())}."


def few(names: Sequence[str], most: int = 3) -> str:
    """The first of the names, with ``...`` where there are more."""
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")


def number(count: int, word: str, words: str = "") -> str:
    """``1 picture``, ``2,000 pictures``."""
    return f"{count:,} {word if count == 1 else words or word + 's'}"
