"""What a source means, as a value: shown to a person before anything of it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.collect.entries import Entry, Link, Refused


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
class Reading:
    """How a folder, an archive or a table is read. Every file of it is accounted for: it is the file of one of
    ``entries``, one of ``tables`` that were read, ``refused`` with a reason, or counted in ``left_out``.

    ``layout`` says it in words; ``others`` is what else it could be; ``notes`` are what a person should know, of which
    nothing is lost. ``left_out``: kind of file (in words) -> how many. ``empty``: class folders without a picture.
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

    @property
    def unlabelled(self) -> int:
        """How many pictures have no label."""
        return sum(entry.label is None for entry in self.entries)
