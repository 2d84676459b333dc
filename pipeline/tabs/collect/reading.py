"""How a source is read, before anything of it is stored: classes with pictures, doubts, other ways, and one click."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.collect.hub_sets import hub_set
from pipeline.collect.importing import ImportConfig
from pipeline.collect.proposal import COLUMNS, Proposal, proposal, turn_down
from pipeline.collect.reading import left_out_in_words
from pipeline.errors import UsageError
from pipeline.images.in_workers import thumbnails
from pipeline.jobs.job import Job
from pipeline.labels import in_words
from pipeline.tabs.collect.collected import import_job
from pipeline.tabs.page.component import View, component, whole
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import LISTED_CLASSES
from pipeline.tabs.page.uploads import UPLOADS
from pipeline.workspace.store import SPLITS
from pipeline.workspace.workspace import Workspace

LISTED = 6
MOST_DIFFERING = 24
ROLES = {"file_column": "file", "label_column": "label", "split_column": "split", "group_column": "scene"}
ASKED = {"file_column": "File", "label_column": "Class", "split_column": "Split", "group_column": "Taken together"}

# What notes say of the command line, and where it is on the page.
ON_THE_PAGE = tuple(
    (re.compile(told), here)
    for told, here in (
        (r'--group-column ("[^"]*")', r'choosing \1 for "Taken together" among the columns below'),
        (r"--labels-from table", "A button below"),
        (r"--label-regex ('[^']*')", r"a button below, or the regular expression \1 in More options,"),
        (r"--alike-names join", "An answer below"),
        (r"(They could also be .*) --name-encoding gives another one", r"\1 The buttons below give another one"),
        (r"--name-encoding gives another one", "The command line takes another one"),
        (r"are followed with --follow-links", "are followed by a button below"),
        (
            r"say --label-separator (?:with )?(a sign that no cell has|'[^']*')",
            r'put \1 into "Between several classes" in More options',
        ),
        (r"\(--file-column\)", '("File" among the columns below)'),
        (r"\(--label-column\)", '("Class" among the columns below)'),
        (r" \(--max\)", ""),
        (r"for --max ([\d,]+)", r"as \1 pictures were wanted"),
        (r"\(--split-column\)", '("Split" among the columns below)'),
    )
)


def on_the_page(note: str) -> str:
    """A note of a reading in the words of the page."""
    for told, here in ON_THE_PAGE:
        note = told.sub(here, note)
    return note


def reading_view(workspace: Workspace, found: Proposal | None) -> View:
    """What the component shows of a reading; nothing but the workspace's name where none waits."""
    if found is None:
        return {"workspace": workspace.name, "job": ""}
    read, named = found.read, found.told.source
    source = named if hub_set(named) is not None else Path(named).name
    if found.stored:
        return {"workspace": workspace.name, "job": found.job, "differ": _differing(workspace, read["labels_differ"])}
    counts: Mapping[str, Mapping[str, int]] = read.get("read", {})
    failed: Sequence[Mapping[str, str]] = read.get("failed", ())
    order = sorted(counts, key=lambda label: (label == "", -sum(counts[label].values()), label))
    splits = [name for name in (*SPLITS, "") if any(name in of_class for of_class in counts.values())]
    return {
        "workspace": workspace.name,
        "job": found.job,
        "source": "" if source.startswith(UPLOADS) else source,
        "layout": read.get("layout", ""),
        "splits": splits,
        "classes": [
            {
                "label": in_words(label),
                "counts": [counts[label].get(name, 0) for name in splits],
                "pictures": read.get("samples", {}).get(label, []),
            }
            for label in order[:LISTED_CLASSES]
        ],
        "more": max(len(order) - LISTED_CLASSES, 0),
        "notes": [*map(on_the_page, read.get("notes", ())), *_left_out(read)],
        "failed": [f"{one['path']}: {on_the_page(one['reason'])}" for one in failed[:LISTED]],
        "more_failed": max(len(failed) - LISTED, 0),
        "questions": [
            {"text": question["text"], "choices": [choice["words"] for choice in question["choices"]]}
            for question in read.get("questions", ())
        ],
        "others": [choice["words"] for choice in read.get("others", ())],
        "columns": [_columns(seen, found.told) for seen in read.get("columns", ())],
    }


def _differing(workspace: Workspace, differing: Sequence[Mapping[str, str]]) -> View:
    """How many pictures have another label here than what was read, and the first of them."""
    images = workspace.store.images().set_index("id")
    shown = [one for one in differing[:MOST_DIFFERING] if one["id"] in images.index]
    pictures = thumbnails(workspace, images.loc[[one["id"] for one in shown]].reset_index())
    made = {file.stem: str(file) for file, _ in pictures}
    rows = [
        {
            "before": in_words(one["before"] or "no label"),
            "after": in_words(one["after"]),
            "picture": made.get(one["id"], ""),
        }
        for one in shown
    ]
    return {"number": len(differing), "rows": rows}


def _left_out(read: Mapping[str, Any]) -> list[str]:
    left, empty = read.get("left_out", {}), read.get("empty", ())
    words = [left_out_in_words(left)] if left else []
    return words + ([f"Empty: {', '.join(empty[:LISTED])}."] if empty else [])


def _columns(seen: Mapping[str, Any], told: ImportConfig) -> View:
    """A table with its first rows, and which of its columns is which: as it was told, else as it was read."""
    chosen = {name: getattr(told, name) or seen["roles"].get(role, "") for name, role in ROLES.items()}
    asked = [{"name": name, "words": ASKED[name], "column": chosen[name]} for name in COLUMNS]
    return {"table": seen["table"], "columns": seen["columns"], "rows": seen["rows"], "asked": asked}


@dataclass(frozen=True)
class ReadingPart:
    """The widgets of this part of the tab."""

    box: gr.Column
    view: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What :meth:`fill` fills."""
        return [self.box, self.view]

    def fill(self, workspace: Workspace) -> list[Any]:
        """The part as it is now; it is hidden where no reading waits."""
        found = proposal(workspace)
        return [gr.Column(visible=found is not None), reading_view(workspace, found)]

    def wire(self, shared: Shared) -> None:
        """Make its buttons work."""

        def take(values: Values, told: Mapping[str, Any]) -> Job:
            workspace, found = self._asked(shared, told)
            return import_job(workspace, found.taken(_answers(told)))

        def again(values: Values, told: Mapping[str, Any]) -> Job:
            workspace, found = self._asked(shared, told)
            columns = {name: str(told["columns"][name]) for name in COLUMNS if name in (told.get("columns") or {})}
            other = None if told.get("other") is None else whole(told["other"])
            return import_job(workspace, found.again(_answers(told), other, columns))

        @translate
        def drop(values: Values, event: gr.EventData) -> list[Any]:
            workspace, found = self._asked(shared, event._data)
            turn_down(workspace, found.job)
            return self.fill(workspace)

        shared.job.launch_told(self.view.take, take, {shared.picker})
        shared.job.launch_told(self.view.again, again, {shared.picker})
        self.view.drop(drop, {shared.picker}, self.outputs, **QUIET)

    def _asked(self, shared: Shared, told: Mapping[str, Any]) -> tuple[Workspace, Proposal]:
        """What a page speaks of. Raises UsageError where that is no more."""
        workspace = shared.open(str(told["workspace"]))
        found = proposal(workspace)
        if found is None or found.job != str(told["job"]):
            raise UsageError("This was read anew, or taken, in the meantime. Look at what is there now.")
        return workspace, found


def _answers(told: Mapping[str, Any]) -> list[int]:
    answers = told.get("answers")
    return [whole(answer) for answer in answers] if isinstance(answers, list) else []


def draw_reading() -> ReadingPart:
    """Draw the part; it is hidden while no reading waits."""
    with gr.Column(visible=False, elem_id="collect-reading") as box:
        view = component(Path(__file__).with_name("reading"), "collect-read")
    return ReadingPart(box, view)
