"""The widgets of the Train tab's runs: the table, what can be done with the run that is ticked, the trash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from pipeline.errors import RunError
from pipeline.tabs.page.component import NO_ANSWER, answer_to, component
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import escape, heading
from pipeline.tabs.train.fields import command, recalled, widget_value
from pipeline.tabs.train.runs import (
    MOST,
    chosen,
    from_trash,
    given_name,
    latest,
    one_run,
    runs_view,
    side_by_side,
    to_trash,
    trash_choices,
)
from pipeline.tabs.train.start import train_job
from pipeline.workspace.runs import Run, describe, list_runs, load_run
from pipeline.workspace.workspace import Workspace

ABOUT = "Tick a run to name it, to train it again or to move it to the trash; tick two to see them side by side."
INTO_VIEW = "() => document.querySelector('#train-options')?.scrollIntoView({block: 'start'})"
Picked = tuple[str, ...]


@dataclass(frozen=True)
class RunPanel:
    """The widgets; ``picked``: the ids a page has ticked; ``gone``: (workspace, id) it moved to the trash last."""

    newest: gr.Column
    result: gr.HTML
    about: gr.HTML
    table: gr.HTML
    told: gr.HTML
    undo: gr.Button
    one: gr.Column
    title: gr.HTML
    name: gr.Textbox
    note: gr.Textbox
    save: gr.Button
    again: gr.Button
    recall: gr.Button
    discard: gr.Button
    line: gr.Textbox
    details: gr.HTML
    two: gr.Column
    both: gr.HTML
    trash: gr.Accordion
    in_trash: gr.Dropdown
    take_back: gr.Button
    picked: gr.State
    gone: gr.State

    @property
    def outputs(self) -> list[Any]:
        """What :meth:`fill` fills."""
        return [
            *(self.newest, self.result, self.about, self.table, self.one, self.title, self.line, self.details),
            *(self.two, self.both, self.trash, self.in_trash),
        ]

    def fill(self, workspace: Workspace, picked: Picked, answer: Mapping[str, Any] = NO_ANSWER) -> list[Any]:
        """All but what a person is typing: the table, what is ticked, and the trash, as they are now."""
        runs = list_runs(workspace)
        here = chosen(runs, picked)
        one = here[0] if len(here) == 1 else None
        trash = trash_choices(workspace)
        return [
            *(gr.Column(visible=bool(runs)), latest(runs), _hint(runs), runs_view(workspace, runs, picked, answer)),
            *(gr.Column(visible=one is not None), f"<h4>{escape(one.name)}</h4>" if one else ""),
            *(command(workspace, recalled(one).values) if one else "", one_run(one) if one else ""),
            *(gr.Column(visible=len(here) == MOST), side_by_side(*here) if len(here) == MOST else ""),
            gr.Accordion(label=f"In the trash: {len(trash)}", visible=bool(trash)),
            gr.Dropdown(choices=trash, value=trash[0][1] if trash else None),
        ]

    def refilled(self, shared: Shared, name: str, picked: Picked, gone: tuple[str, str]) -> list[Any]:
        """``fill``, and the last message taken away where it was about another workspace."""
        stale = bool(gone[0]) and gone[0] != name
        return [*(self.tell() if stale else (gr.skip(), gr.skip())), *self.fill(shared.open(name), picked)]

    def tell(self, words: str = "", undo: bool = False) -> tuple[Any, Any]:
        """Updates of ``told`` and ``undo``."""
        shown = f'<p role="status" class="w-good">{escape(words)}</p>' if words else ""
        return gr.HTML(shown, visible=bool(words)), gr.Button(visible=undo)

    def wire(self, shared: Shared, tab: gr.Tab, fields: Mapping[str, Component], options: gr.Accordion) -> None:
        """Make the table and the buttons work; ``fields`` are the widgets of the settings, inside ``options``."""
        shared.watch(
            tab,
            lambda name, picked, gone: self.refilled(shared, name, picked, gone),
            [self.told, self.undo, *self.outputs],
            [self.picked, self.gone],
        )
        self._wire_picking(shared)
        self._wire_naming(shared)
        self._wire_trash(shared)
        self._wire_settings(shared, fields, options)

    def _wire_picking(self, shared: Shared) -> None:
        @translate
        def pick(event: gr.EventData) -> list[Any]:
            workspace = shared.open(str(event._data["workspace"]))
            picked = tuple(str(run_id) for run_id in event._data["ids"][:MOST])
            run = load_run(workspace, picked[0]) if len(picked) == 1 else None
            typed = (given_name(run), run.note) if run else ("", "")
            answer = answer_to(event._data)
            return [picked, *typed, *self.tell(), *self.fill(workspace, picked, answer)]

        outputs = [self.picked, self.name, self.note, self.told, self.undo, *self.outputs]
        in_turn: dict[str, Any] = {**QUIET, "concurrency_id": "train-runs", "concurrency_limit": 1}
        self.table.pick(pick, None, outputs, trigger_mode="multiple", **in_turn)

    def _wire_naming(self, shared: Shared) -> None:
        @translate
        def save(values: Values) -> list[Any]:
            workspace = shared.open(values[shared.picker])
            run = describe(workspace, _ticked(values[self.picked]), values[self.name] or "", values[self.note] or "")
            return [given_name(run), run.note, *self.tell("Saved."), *self.fill(workspace, values[self.picked])]

        inputs: set[Any] = {shared.picker, self.picked, self.name, self.note}
        outputs = [self.name, self.note, self.told, self.undo, *self.outputs]
        gr.on([self.save.click, self.name.submit], save, inputs, outputs, **QUIET)

    def _wire_trash(self, shared: Shared) -> None:
        @translate
        def discard(values: Values) -> list[Any]:
            workspace, run_id = shared.open(values[shared.picker]), _ticked(values[self.picked])
            told = self.tell(to_trash(workspace, run_id), undo=True)
            return [(), (workspace.name, run_id), *told, *self.fill(workspace, ())]

        def back(run_id: Callable[[Values], tuple[str, str]]) -> Callable[[Values], list[Any]]:
            @translate
            def take_back(values: Values) -> list[Any]:
                name, which = run_id(values)
                workspace = shared.open(name)
                told = self.tell(from_trash(workspace, which))
                return [values[self.picked], ("", ""), *told, *self.fill(workspace, values[self.picked])]

            return take_back

        inputs: set[Any] = {shared.picker, self.picked, self.gone, self.in_trash}
        outputs = [self.picked, self.gone, self.told, self.undo, *self.outputs]
        self.discard.click(discard, inputs, outputs, **QUIET)
        self.undo.click(back(lambda values: values[self.gone]), inputs, outputs, **QUIET)
        chosen_one = back(lambda values: (values[shared.picker], values[self.in_trash] or ""))
        self.take_back.click(chosen_one, inputs, outputs, **QUIET)

    def _wire_settings(self, shared: Shared, fields: Mapping[str, Component], options: gr.Accordion) -> None:
        def of_the_run(values: Values) -> tuple[Workspace, dict[str, Any], str]:
            workspace = shared.open(values[shared.picker])
            here = recalled(load_run(workspace, _ticked(values[self.picked])))
            left = (
                f" Left out, as this version does not know them: {', '.join(here.left_out)}." if here.left_out else ""
            )
            return workspace, here.values, left

        @translate
        def recall(values: Values) -> list[Any]:
            _, settings, left = of_the_run(values)
            told = self.tell(f"Its settings are under More options now.{left}")
            return [gr.Accordion(open=True), *told, *(widget_value(settings, name) for name in fields)]

        inputs: set[Any] = {shared.picker, self.picked}
        filled = self.recall.click(recall, inputs, [options, self.told, self.undo, *fields.values()], **QUIET)
        filled.success(None, None, None, js=INTO_VIEW)
        shared.job.launch(self.again.click, lambda values: train_job(*of_the_run(values)[:2], shared.local), inputs)


def draw_run_panel() -> RunPanel:
    """Draw this part of the tab, still empty."""
    with gr.Column(visible=False) as newest:
        heading("The latest run")
        result = gr.HTML(elem_id="train-latest")
    heading("All runs")
    about = gr.HTML()
    table = component(Path(__file__).with_name("runs"), "train-runs")
    with gr.Row(elem_classes="w-buttons"):
        told = gr.HTML(visible=False, elem_id="train-told")
        undo = gr.Button("Undo", visible=False, size="sm", elem_id="train-undo")
    one = _draw_one()
    with gr.Column(visible=False, elem_classes="w-card", elem_id="train-both") as two:
        gr.HTML("<h4>Side by side</h4><p>Clean compares the two newest on the very same pictures.</p>")
        both = gr.HTML(elem_id="train-compare")
    with gr.Accordion("In the trash", visible=False, open=False, elem_id="train-trash") as trash, gr.Row():
        in_trash = gr.Dropdown([], label="Run", elem_id="train-trashed", allow_custom_value=True)
        take_back = gr.Button("Take it back", size="sm", elem_id="train-take-back")
    top: dict[str, Any] = {
        "newest": newest,
        "result": result,
        "about": about,
        "table": table,
        "told": told,
        "undo": undo,
    }
    below: dict[str, Any] = {"two": two, "both": both, "trash": trash, "in_trash": in_trash, "take_back": take_back}
    return RunPanel(**top, **one, **below, picked=gr.State(()), gone=gr.State(("", "")))


def _draw_one() -> dict[str, Any]:
    with gr.Column(visible=False, elem_classes="w-card", elem_id="train-one") as one:
        title = gr.HTML()
        with gr.Row(elem_classes="w-fields"):
            name = gr.Textbox(label="Name", placeholder="what you call it", elem_id="train-run-name")
            note = gr.Textbox(label="Note", placeholder="what you learnt from it", lines=1, elem_id="train-run-note")
        with gr.Row(elem_classes="w-buttons"):
            save = gr.Button("Save name and note", size="sm", elem_id="train-run-save")
            again = gr.Button("Train again", size="sm", elem_id="train-run-again")
            recall = gr.Button("Use its settings", size="sm", elem_id="train-run-recall")
            discard = gr.Button("Move to the trash", size="sm", elem_id="train-run-discard")
        line = gr.Textbox(
            label="The same on the command line", interactive=False, buttons=["copy"], elem_id="train-run-command"
        )
        details = gr.HTML(elem_id="train-run-details")
    buttons = {"save": save, "again": again, "recall": recall, "discard": discard}
    return {"one": one, "title": title, "name": name, "note": note, **buttons, "line": line, "details": details}


def _hint(runs: list[Run]) -> str:
    return f"<p class='w-hint'>{ABOUT}</p>" if runs else ""


def _ticked(picked: Picked) -> str:
    """The one run that is ticked. Raises RunError where it is not one."""
    if len(picked) != 1:
        raise RunError("Tick one run in the table first.")
    return picked[0]
