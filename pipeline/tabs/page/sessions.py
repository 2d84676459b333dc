"""What the server keeps of pages: of those that were closed, only the newest, which may come back."""

from __future__ import annotations

import gradio as gr
from gradio.state_holder import StateHolder

# Each holds a copy of what is known of every widget, megabytes of it. A page that was only asleep comes back.
MOST_CLOSED = 20


def forget_closed(pages: StateHolder, most: int = MOST_CLOSED) -> None:
    """Forget the pages that were closed, but the ``most`` that were used last. Gradio itself keeps all of them until
    there are as many as it may hold, open ones included.
    """
    closed = [name for name, page in list(pages.session_data.items()) if page.is_closed]
    for name in closed[: max(0, len(closed) - most)]:
        with pages.lock:
            pages.session_data.pop(name, None)
            pages.time_last_used.pop(name, None)


def forget_on_close(demo: gr.Blocks) -> None:
    """Whenever a page of ``demo`` is closed, :func:`forget_closed`."""
    demo.unload(lambda: forget_closed(demo.state_holder))
