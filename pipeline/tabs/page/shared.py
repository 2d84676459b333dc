"""What all tabs share: the open workspace, the job panel, and being told when something changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from pipeline.tabs.page.job_panel import QUIET, JobPanel
from pipeline.tabs.page.picker import Picker, Workspaces, draw_picker
from pipeline.tabs.page.sessions import forget_on_close
from pipeline.tabs.page.show import translate
from pipeline.tabs.page.whose import Whose, one_person
from pipeline.workspace.limits import Limits
from pipeline.workspace.workspace import Workspace

__all__ = ["Shared", "Values", "translate"]

Values: TypeAlias = Mapping[Component, Any]
"""What Gradio hands a handler whose inputs are a set: the value of each component."""


@dataclass(frozen=True)
class _Watch:
    """A view that is filled again when its workspace may have changed."""

    tab: gr.Tab
    fill: Callable[..., Any]
    outputs: tuple[Block, ...]
    inputs: tuple[Component, ...]


class Head(Protocol):
    """What stands above everything else on the page."""

    def wire(self, demo: gr.Blocks) -> None:
        """Connect it, once all of ``demo`` is drawn."""
        ...


@dataclass(frozen=True)
class Shared:
    """Handed to every tab's ``build``. ``local`` is True when only this machine's own people can reach the app."""

    workspaces: Workspaces
    picking: Picker
    job: JobPanel
    tabs: gr.Tabs
    opened: gr.State
    local: bool = False
    head: Head | None = None
    _watches: list[_Watch] = field(default_factory=list)

    @property
    def limits(self) -> Limits | None:
        """What each visitor of a public demo may do at most; None where the app is no such demo."""
        return self.workspaces.whose.limits

    @property
    def picker(self) -> gr.Dropdown:
        """The widget whose value is the workspace's name."""
        return self.picking.dropdown

    def open(self, name: str | None) -> Workspace:
        """The workspace of that name; the name is checked. Raises WorkspaceError."""
        return self.workspaces.open(name)

    def watch(
        self,
        tab: gr.Tab,
        fn: Callable[..., Any],
        outputs: Block | Sequence[Block],
        inputs: Component | Sequence[Component] = (),
    ) -> None:
        """Call ``fn(name, *inputs)`` and put what it returns into ``outputs`` whenever ``tab`` is opened, and, while it
        is open, when another workspace is picked or a job of this one ends.
        """
        targets = (outputs,) if isinstance(outputs, Block) else tuple(outputs)
        sources = (inputs,) if isinstance(inputs, Component) else tuple(inputs)
        self._watches.append(_Watch(tab, fn, targets, sources))

    def next_step(self, title: str) -> None:
        """The button at the end of a tab that opens the tab ``title``; none where that is empty."""
        if not title:
            return
        button = gr.Button(f"Next: {title}", elem_classes="w-next", elem_id=f"next-{title.lower()}")
        button.click(
            lambda: gr.Tabs(selected=title.lower()), None, self.tabs, api_visibility="private", show_progress="hidden"
        )

    def wire(self, demo: gr.Blocks) -> None:
        """Connect what was watched; called once, when all tabs are built."""
        forget_on_close(demo)
        if self.head:
            self.head.wire(demo)
        self.picking.wire(demo)
        self.job.wire(demo, self.tabs)
        for tab in dict.fromkeys(watch.tab for watch in self._watches):
            watches = [watch for watch in self._watches if watch.tab is tab]
            # On its own, as filling a tab takes its time: a tab opened meanwhile has to have the last word.
            tab.select(lambda tab_id=tab.id: tab_id, None, self.opened, **QUIET)
            self._fill_on([tab.select], watches, str(tab.id))
        self._fill_on([self.picker.change, self.job.ended.change], self._watches)

    def _fill_on(self, triggers: Sequence[Any], watches: Sequence[_Watch], tab_id: str = "") -> None:
        """Fill the views of a tab (empty: the one that is open), which are ``watches``, on each of ``triggers``."""

        def fill(values: Values) -> dict[Block, Any]:
            return self.filled(tab_id or values[self.opened], values)

        inputs = {self.picker, self.opened, *(source for watch in watches for source in watch.inputs)}
        outputs = dict.fromkeys([self.opened, *(target for watch in watches for target in watch.outputs)])
        gr.on(triggers, fill, inputs, list(outputs), **QUIET)

    @translate
    def filled(self, tab_id: str, values: Values) -> dict[Block, Any]:
        """What every watched view of a tab shows now, by the ``values`` of the picker and of the views' inputs."""
        filled: dict[Block, Any] = {self.opened: gr.skip()}
        for watch in self._watches:
            if watch.tab.id == tab_id:
                answer = watch.fill(values[self.picker], *(values[source] for source in watch.inputs))
                answers = (answer,) if len(watch.outputs) == 1 else answer
                filled |= zip(watch.outputs, answers, strict=True)
        return filled


def draw_shared(root: Path | Whose, local: bool, draw_head: Callable[[Whose], Head | None] = lambda _: None) -> Shared:
    """The head of the page: what ``draw_head`` puts there, workspace picker, job panel; and the tabs, still empty.

    ``root``: the default workspace of whoever runs the app (made if missing), or what tells whose workspaces there are.
    """
    whose = one_person(root) if isinstance(root, Path) else root
    workspaces = Workspaces(whose)
    head = draw_head(whose)
    picking = draw_picker(workspaces)
    job = JobPanel(workspaces, picking.dropdown)
    tabs = gr.Tabs(elem_id="tabs", overflow_behavior="wrap")
    return Shared(workspaces, picking, job, tabs, gr.State(""), local, head)
