"""An import at the terminal: how the source is read, in sentences, and questions where somebody can answer them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pipeline.collect.importing import ImportConfig, Imported, import_images
from pipeline.collect.reading import Choice, Question, left_out_in_words
from pipeline.collect.starter_set import STARTERS
from pipeline.labels import in_words
from pipeline.terminal.show import InWords, chosen, run_and_show, tell
from pipeline.terminal.tables import MOST as MOST_SHOWN
from pipeline.terminal.tables import Column, sentences, table
from pipeline.workspace.workspace import Workspace

SPLITS = ("train", "valid", "test", "")


def import_here(workspace: Workspace, config: ImportConfig, ask: bool) -> InWords:
    """Import what ``config`` says. ``ask``: whether somebody is there to answer what the source leaves open; else the
    best reading is taken, and said.
    """
    asked: set[str] = set()
    if ask and not config.dry_run and config.source not in STARTERS:
        config = _answered(workspace, config, asked)
    imported: Imported = run_and_show(import_images(workspace, config))
    if ask and not config.dry_run:  # of pictures behind addresses it is only known now
        for question in imported.questions:
            if _is_about_labels_here(question) and question.text not in asked:
                told = config.answered(_choice(question).told)
                imported = run_and_show(import_images(workspace, told)) if told.relabel else imported
    return InWords(imported, tuple(_lines(imported, config.dry_run)))


def _is_about_labels_here(question: Question) -> bool:
    return any("relabel" in choice.told for choice in question.choices)


def _answered(workspace: Workspace, config: ImportConfig, asked: set[str]) -> ImportConfig:
    """The configuration with the answers to all that the source leaves open, which is read anew after each. What was
    ``asked`` is added to that.
    """
    while True:
        read: Imported = run_and_show(import_images(workspace, replace(config, dry_run=True)))
        question = next((one for one in read.questions if one.text not in asked and one.choices), None)
        if question is None:
            return config
        if not asked:
            tell(read.layout)
        asked.add(question.text)
        config = config.answered(_choice(question).told)


def _choice(question: Question) -> Choice:
    return question.choices[chosen(question.text, [choice.words for choice in question.choices])]


# --- in words -----------------------------------------------------------------------------------------------------


def _lines(imported: Imported, dry_run: bool) -> Iterator[str]:
    yield imported.layout
    yield from _counts(imported.read)
    yield from (f"- {note}" for note in imported.notes)
    if imported.left_out:
        yield f"- {left_out_in_words(imported.left_out)}"
    if imported.empty:
        yield f"- No picture is in {_few(imported.empty)}."
    if imported.failed:
        yield f"- Not taken: {len(imported.failed):,}"
        yield from (f"    {one.path}: {one.reason}" for one in imported.failed[:MOST_SHOWN])
        if (more := len(imported.failed) - MOST_SHOWN) > 0:
            yield f"    … {more:,} more: --json has all"
    for question in imported.questions:
        if _is_about_labels_here(question):  # a note says it, too
            continue
        yield f"? {question.text}"
        yield from (_told(choice) for choice in question.choices)
    if imported.others and dry_run:
        yield "It could also be read so:"
        yield from (_told(choice) for choice in imported.others)
    if dry_run:
        yield "Nothing was stored. Without --dry-run it is."
        return
    here = imported.duplicates + len(imported.labels_differ)
    changed = f", {imported.relabelled:,} of them got another label" if imported.relabelled else ""
    yield f"{imported.added:,} added, {here:,} were here already{changed}."
    classes = _few([f"{name} {count:,}" for name, count in imported.classes.items()])
    yield from sentences(f"Classes of the workspace: {classes or 'none yet'}")


def _counts(read: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """A table of labels and splits."""
    columns = [split for split in SPLITS if any(split in splits for splits in read.values())]
    heads = [split or "no split" for split in columns] if columns != [""] else [""]
    rows = (
        (
            in_words(label or "(no label)")[:40],
            *(f"{splits[split]:,}" if split in splits else "" for split in columns),
        )
        for label, splits in read.items()
    )
    yield from table([Column(), *(Column(head, right=True) for head in heads)], rows)


def _told(choice: Choice) -> str:
    """A choice, and the arguments that make it."""
    flags: list[str] = []
    for name, value in choice.told.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            flags.append(flag)
        elif isinstance(value, list | tuple):
            flags += [f'{flag} "{one}"' for one in value]
        elif value not in (False, None):
            flags.append(f'{flag} "{value}"')
    return f"    {choice.words}{': ' + ' '.join(flags) if flags else ''}"


def _few(names: Sequence[str]) -> str:
    more = len(names) - MOST_SHOWN
    return ", ".join(names[:MOST_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
