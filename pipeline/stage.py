"""Progress, Stage, run(): a step is a generator that says how far it is and returns its result.

>>> def spelt(word: str) -> w.Stage[int]:  # a stage of one's own
...     for done, letter in enumerate(word, 1):
...         yield w.Progress(done, len(word), letter)
...     return len(word)
>>> w.run(spelt("pear"), lambda step: print(f"{step.done}/{step.total} {step.note}"))
1/4 p
2/4 e
3/4 a
4/4 r
4
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """One step forward: ``done`` of ``total`` (0 = not known yet), with a note and numbers for a curve or table.

    >>> step = w.Progress(3, 10, "Checking pictures")
    >>> f"{step.note}: {step.done} of {step.total}"
    'Checking pictures: 3 of 10'
    """

    done: int
    total: int
    note: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)


Stage: TypeAlias = Generator[Progress, None, T]


def run(stage: Stage[T], show: Callable[[Progress], None] | None = None) -> T:
    """Drive ``stage`` to its end in this thread and return its result.

    ``show`` is called with every Progress. An exception from ``show`` (Ctrl-C, say) closes the stage, whose
    ``finally`` blocks leave things whole.

    >>> verified = w.run(w.verify(ws), lambda step: print(step.note))
    Checking pictures
    Looking for duplicates
    """
    try:
        while True:
            progress = next(stage)
            if show is not None:
                show(progress)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        stage.close()
