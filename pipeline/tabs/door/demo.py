"""A public demo while it is open: its folder, the clearing away of what is over, and what each visitor is told."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
from filelock import FileLock, Timeout

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.images.in_workers import sample
from pipeline.logs import logger
from pipeline.machine import is_ours
from pipeline.stage import run
from pipeline.tabs.door.visitors import Visitors, clear_demo
from pipeline.tabs.page.show import escape, translate
from pipeline.tabs.page.whose import Whose
from pipeline.workspace.limits import Limits
from pipeline.workspace.workspace import Workspace

PREFIX, LOCK = "winnow-demo-", "server.lock"
SWEEP_SECONDS = 20.0
OURS_ALONE = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
LOG = logger("door")
RELOAD = "() => window.location.replace(window.location.pathname)"


@contextmanager
def public_demo(environment: MutableMapping[str, str], sweep_seconds: float = SWEEP_SECONDS) -> Iterator[Visitors]:
    """The visitors of a demo, whose folder is there while the context lasts. Raises UsageError for odd limits.

    It lies where the machine keeps temporary files. ``environment`` sets the limits; from then on Gradio keeps uploads
    in the demo's folder, and the machine's own token is out of everybody's reach.
    """
    limits = Limits.from_environment(environment)
    if left := clear_leftovers(Path(tempfile.gettempdir())):
        LOG.info("swept: %d demos whose server was killed", left)
    root = Path(tempfile.mkdtemp(prefix=PREFIX))
    over = threading.Event()

    def sweep(visitors: Visitors) -> None:
        while not over.wait(sweep_seconds):
            try:
                visitors.sweep()
            except Exception:  # the next sweep may do better
                LOG.exception("a sweep failed")

    with FileLock(root / LOCK):
        try:
            template = Workspace.create(root / "template" / "starter")
            run(import_images(template, ImportConfig("starter")))
            sample(template)  # makes the thumbnails that everybody sees first
            environment["GRADIO_TEMP_DIR"] = str(root / "cache")
            for name in OURS_ALONE:
                environment.pop(name, None)
            visitors = Visitors(root, limits, template)
            threading.Thread(target=sweep, args=(visitors,), daemon=True).start()
            LOG.info("a public demo begins: at most %d visitors", limits.visitors)
            yield visitors
        finally:
            over.set()
            clear_demo(root)
            LOG.info("the public demo is over")


def clear_leftovers(place: Path) -> int:
    """End and clear away the demos in ``place`` whose server was killed; returns how many there were."""
    cleared = 0
    for root in place.glob(f"{PREFIX}*"):
        if root.is_symlink() or not is_ours(root):
            continue
        try:
            with FileLock(root / LOCK, timeout=0):
                clear_demo(root)
                cleared += 1
        except Timeout:  # somebody serves it
            continue
    return cleared


def terms(limits: Limits) -> str:
    """What a visitor should know, as HTML."""
    first = (
        "No other visitor sees what you bring in. It is cleared away "
        f"{limits.away_minutes} minutes after you close the page, so download what you want to keep."
    )
    more = (
        f"It is also cleared away after {limits.idle_minutes} minutes of doing nothing. This is somebody else's "
        f"machine: bring nothing that is secret. At most {limits.workspaces} workspaces of {limits.images:,} pictures, "
        f"{limits.megabytes:,} MB in all, {limits.upload_megabytes} MB a file; trainings of {limits.epochs} epochs and "
        f"{limits.job_minutes} minutes, at {limits.pixels} pixels. One training runs at a time; the others wait for "
        "their turn, and see their place."
    )
    return (
        f"<p><b>Public demo.</b> {escape(first)}</p>"
        f"<details><summary>What it allows</summary><p>{escape(more)}</p></details>"
    )


def draw_banner(whose: Whose) -> Banner | None:
    """The head of the page of a public demo; None, and nothing drawn, where the app is no such demo."""
    return Banner(whose, whose.limits) if isinstance(whose, Visitors) and whose.limits else None


class Banner:
    """The head of a public demo's page: what to know, and a way to clear everything of one's own away."""

    def __init__(self, visitors: Visitors, limits: Limits) -> None:
        self._visitors = visitors
        with gr.Row(elem_id="demo", equal_height=True):
            gr.HTML(terms(limits), elem_id="demo-terms", scale=4, min_width=280)
            self.over = gr.Button("Start over", size="sm", elem_id="demo-over", scale=0, min_width=130)
            self.sure = gr.Button(
                "Clear all of mine",
                variant="stop",
                size="sm",
                visible=False,
                elem_id="demo-sure",
                scale=0,
                min_width=150,
            )

    def wire(self, demo: gr.Blocks) -> None:
        """Make the buttons work, and notice when a page of ``demo`` is closed."""
        self.over.click(
            lambda: (gr.Button(visible=False), gr.Button(visible=True)),
            None,
            [self.over, self.sure],
            api_visibility="private",
            show_progress="hidden",
        )
        cleared = self.sure.click(
            translate(self._visitors.start_over), None, None, api_visibility="private", show_progress="hidden"
        )
        cleared.success(None, None, None, js=RELOAD)
        demo.unload(self._visitors.page_closed)
