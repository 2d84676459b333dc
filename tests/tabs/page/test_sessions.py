"""Pages that were closed do not pile up in the server's memory; those that are open stay."""

from __future__ import annotations

import gradio as gr
from gradio.state_holder import StateHolder

from pipeline.tabs.page.sessions import MOST_CLOSED, forget_closed, forget_on_close


def pages(closed: int, of: int) -> tuple[gr.Blocks, StateHolder]:
    demo: gr.Blocks = gr.Blocks(analytics_enabled=False)
    with demo:
        gr.State("start")
        gr.Textbox()
        forget_on_close(demo)
    holder = StateHolder()
    holder.set_blocks(demo)
    for number in range(of):
        holder[f"page {number}"].is_closed = number < closed
    return demo, holder


def test_of_closed_pages_the_newest_are_kept_and_of_open_ones_all() -> None:
    _, holder = pages(closed=90, of=100)
    forget_closed(holder)
    assert list(holder.session_data) == [f"page {number}" for number in range(90 - MOST_CLOSED, 100)]
    assert set(holder.time_last_used) == set(holder.session_data)


def test_it_happens_when_a_page_is_closed() -> None:
    demo, holder = pages(closed=50, of=50)
    (function,) = [fn for fn in demo.fns.values() if any(event == "unload" for _, event in fn.targets)]
    assert function.fn is not None
    function.fn()
    assert len(holder.session_data) == MOST_CLOSED


def test_few_pages_are_all_kept() -> None:
    _, holder = pages(closed=3, of=4)
    forget_closed(holder)
    assert len(holder.session_data) == 4
