"""Class names that a source brings: those that nobody can tell apart are joined, or asked about."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from pipeline.class_names import Joined, joined, made_visible
from pipeline.collect.entries import Entry, Labelling
from pipeline.collect.reading import Choice, Question, Reading
from pipeline.labels import named

EXAMPLES = 3


def with_one_name_each(reading: Reading, how: Labelling) -> Reading:
    """The reading with names joined that look the same; with what was changed in names as notes; and with a question
    about names that are spelled alike (``how.alike_names`` is the answer: join or apart).
    """
    labels = [one.label for one in reading.all()] + [label for one in reading.entries for label in one.also]
    counts = Counter(name for label in labels if label is not None for name in named(label))
    found = joined(counts, how.classes, join=how.alike_names == "join")
    notes = (*how.spelled.notes(counts), *found.notes)
    questions: tuple[Question, ...] = ()
    if found.twins and how.alike_names is None:
        some = [" and ".join(f"'{made_visible(name)}'" for name in group) for group in found.twins]
        listed = "; ".join(some[:EXAMPLES]) + (f"; and {len(some) - EXAMPLES:,} more" if len(some) > EXAMPLES else "")
        notes += (f"These names are nearly the same and were kept apart: {listed}. --alike-names join makes them one.",)
        apart = Choice("Keep them apart", {"alike_names": "apart"})
        join = Choice("Make them one class each, under the first name", {"alike_names": "join"})
        questions = (Question(f"These names are nearly the same: {listed}. Are they one class?", (apart, join)),)
    return replace(
        reading,
        entries=tuple(_called(one, found) for one in reading.entries),
        links=tuple(replace(one, label=found.label(one.label) or one.label) for one in reading.links),
        notes=reading.notes + notes,
        questions=reading.questions + questions,
    )


def _called(entry: Entry, found: Joined) -> Entry:
    label = found.label(entry.label)
    others = dict.fromkeys(found.label(other) or other for other in entry.also)
    return replace(entry, label=label, also=tuple(other for other in others if other != label))
