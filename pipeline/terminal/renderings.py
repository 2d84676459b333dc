"""Which lines a person reads of the result of each command; any other result is told field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from pipeline.terminal import about_decisions, about_models, about_pictures, about_runs
from pipeline.terminal.known import Known
from pipeline.terminal.tables import MOST, Column, listed, sentences, table

Rendering: TypeAlias = Callable[[Mapping[str, Any], Known], Iterator[str]]
MOST_COLUMNS = 6

RENDERINGS: Mapping[str, Rendering] = MappingProxyType(
    {
        "search": about_pictures.search,
        "download": about_pictures.download,
        "check": about_pictures.check,
        "verify": about_pictures.verify,
        "images": about_pictures.images,
        "dataset": about_pictures.dataset,
        "card": about_pictures.card,
        "backbones": about_runs.backbones,
        "lr-find": about_runs.lr_find,
        "train": about_runs.train,
        "review": about_runs.review,
        "suspects": about_runs.suspects,
        "compare": about_runs.compare,
        "ledger": about_runs.ledger,
        "decide": about_decisions.decided,
        "undo": about_decisions.undone,
        "redo": about_decisions.redone,
        "decisions": about_decisions.journal,
        "replay": about_decisions.replay,
        "rename": about_decisions.renamed,
        "predict": about_models.predict,
        "export": about_models.export,
        "test-space": about_models.test_space,
        "deploy": about_models.deploy,
        "jobs": about_models.jobs,
        "cancel": about_models.jobs,
    }
)


def rendered(command: str, document: Mapping[str, Any], known: Known) -> list[str]:
    """The lines about the result of a command, which is ``document``, as --json prints it."""
    return list(RENDERINGS.get(command, in_fields)(document, known))


def in_fields(document: Mapping[str, Any], known: Known) -> Iterator[str]:
    """A line a field, in words; a table for a list of rows."""
    for key, value in document.items():
        name = str(key).replace("_", " ").capitalize()
        if isinstance(value, dict) and value and all(isinstance(one, int) for one in value.values()):
            yield from sentences(f"{name}: {listed(value)}")
        elif isinstance(value, dict):
            yield f"{name}:" if value else f"{name}: none"
            yield from table(
                [Column(), Column(wrapped=True)], ((_word(one), _word(said)) for one, said in value.items())
            )
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{name}: {len(value):,}"
            columns = list(value[0])[:MOST_COLUMNS]
            yield from table(
                [Column(_word(head).replace("_", " ")) for head in columns],
                ([_word(row.get(head)) for head in columns] for row in value),
            )
        elif isinstance(value, list):
            yield f"{name}: {len(value):,}" if value else f"{name}: none"
            yield from table([Column(wrapped=True)], ([_word(one)] for one in value), MOST)
        elif value not in (None, ""):
            yield from sentences(f"{name}: {_word(value)}")


def _word(value: Any) -> str:
    """A value as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_word, value[:MOST])) + (f" … {len(value) - MOST:,} more" if len(value) > MOST else "")
    if isinstance(value, dict):
        return ", ".join(f"{name} {_word(one)}" for name, one in list(value.items())[:MOST])
    if isinstance(value, int):
        return f"{value:,}"
    text = "" if value is None else str(value)
    return text[:12] if len(text) == 64 and all(letter in "0123456789abcdef" for letter in text) else text
