from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest

from pipeline.errors import NotEnoughData
from pipeline.tabs.page.shared import Shared, draw_shared
from pipeline.workspace.workspace import Workspace


def drawn(workspace: Workspace, build: Callable[[Shared, gr.Tab, gr.Tab], None]) -> tuple[Shared, gr.Blocks]:
    with gr.Blocks(analytics_enabled=False) as demo:
        shared = draw_shared(workspace.root, local=False)
        with shared.tabs:
            with gr.Tab("One", id="one") as one:
                pass
            with gr.Tab("Two", id="two") as two:
                build(shared, one, two)
        shared.wire(demo)
    return shared, demo


def test_only_the_views_of_the_open_tab_are_filled_again(workspace: Workspace) -> None:
    boxes: dict[str, Any] = {}

    def build(shared: Shared, one: gr.Tab, two: gr.Tab) -> None:
        boxes.update(a=gr.HTML(), b=gr.HTML(), c=gr.HTML(), size=gr.Number(3))
        shared.watch(one, lambda name: f"one of {name}", boxes["a"])
        shared.watch(two, lambda name, size: (f"two of {name}", size), [boxes["b"], boxes["c"]], boxes["size"])

    shared, _ = drawn(workspace, build)
    values = {shared.picker: workspace.name, shared.opened: "two", boxes["size"]: 7}
    filled = shared.filled("two", values)
    assert filled == {shared.opened: gr.skip(), boxes["b"]: f"two of {workspace.name}", boxes["c"]: 7}


def test_a_view_that_fails_says_so(workspace: Workspace) -> None:
    def fail(name: str) -> str:
        raise NotEnoughData("There are no pictures.")

    shared, _ = drawn(workspace, lambda shared, one, two: shared.watch(one, fail, gr.HTML()))
    with pytest.raises(gr.Error, match="There are no pictures"):
        shared.filled("one", {shared.picker: workspace.name, shared.opened: "one"})


def test_the_default_workspace_can_be_opened_by_name_and_where_none_was_chosen_yet(workspace: Workspace) -> None:
    shared, _ = drawn(workspace, lambda shared, one, two: None)
    assert shared.open(None).root == workspace.root and shared.open(workspace.name).root == workspace.root
    assert shared.picker.value == workspace.name


def test_no_event_is_public(workspace: Workspace) -> None:
    _, demo = drawn(workspace, lambda shared, one, two: shared.next_step("One"))
    assert {fn.api_visibility for fn in demo.fns.values()} == {"private"}
