"""How the app is served: to whom, at which address, with which limits and looks."""

from __future__ import annotations

import io
import ipaddress
import logging
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.deploy.serve import check_address, password
from pipeline.errors import PipelineError, UsageError
from pipeline.jobs.job import list_jobs
from pipeline.logs import VARIABLE, written_down
from pipeline.stage import run
from pipeline.tabs.door.demo import public_demo
from pipeline.tabs.door.guard import Guard
from pipeline.tabs.door.visitors import MOST_PAGES, MOST_PASSING, Visitors
from pipeline.tabs.page.whose import OnePerson, Whose
from pipeline.web.gate import LOOPBACK, MEGABYTE, Gate, Rules, believe, proxies
from pipeline.web.proxies import none_of_it
from pipeline.workspace.workspace import Workspace, workspaces_in

STYLE = Path(__file__).parents[1] / "page" / "style.css"
LOCAL_UPLOAD, PUBLIC_UPLOAD = "4gb", "200mb"
# The longest thing a page sends is the list of a folder's files.
MOST_BODY, MOST_OF_A_VISITOR = 16 * MEGABYTE, 3 * MEGABYTE
SESSIONS = 1000
ADVICE = (
    "On this machine, open http://127.0.0.1:{port}/ . Where you came through a notebook, a tunnel or a proxy of yours, "
    "start it for other people, with a password and with that proxy's address: "
    "python app.py --proxy 127.0.0.1 --auth USER:PASSWORD"
)


@dataclass(frozen=True)
class Door:
    """Where the app can be reached: ``host`` and ``port``, a public link (``share``), a proxy's ``root_path`` and its
    address (``proxy``, or several); ``auth`` is (user, password) or None. Raises UsageError where strangers could walk
    in.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    auth: tuple[str, str] | None = None
    share: bool = False
    root_path: str | None = None
    demo: bool = False
    proxy: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            proxies(self.proxy)
        except ValueError as error:
            raise UsageError(str(error)) from error
        if self.open_to_others and not self.auth and not self.demo:
            what = "--share" if self.share else "--root-path" if self.root_path else "--proxy"
            what = f"--host {self.host}" if not self.loopback else what
            raise UsageError(
                f"{what} lets other people in, and they could use your files and your machine. Add a password: "
                "--auth USER:PASSWORD (or the same in the environment variable WINNOW_AUTH); or give each of them a "
                "small workspace of their own that is cleared away again: --public-demo."
            )

    @classmethod
    def of(cls, options: Namespace, environment: Mapping[str, str]) -> Door:
        """The door that the command line and the environment describe; a Space is a public demo, or has a password.

        Raises UsageError.
        """
        auth = password(options.auth or environment.get("WINNOW_AUTH"))
        demo = options.public_demo or bool(environment.get("SPACE_ID") and not auth)
        if demo and options.workspace is not None:
            raise UsageError(
                "In a public demo everybody gets a workspace of their own, with the starter set in it. Leave "
                "--workspace out; to show your own one to people you trust, use --auth USER:PASSWORD."
            )
        root_path = options.root_path or environment.get("GRADIO_ROOT_PATH") or None
        return cls(options.host, options.port, auth, options.share, root_path, demo, tuple(options.proxy or ()))

    @property
    def loopback(self) -> bool:
        """Whether ``host`` is this machine alone."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def local(self) -> bool:
        """Whether only people of this machine can reach the app."""
        return not self.open_to_others and not self.demo

    @property
    def open_to_others(self) -> bool:
        """Whether somebody who is not on this machine may come in: also behind a proxy, which comes from here."""
        return bool(self.share or self.root_path or self.proxy) or not self.loopback


def first_start(root: Path) -> Workspace:
    """The workspace at ``root``; one that has to be made gets the starter set, so that there is something to see."""
    if Workspace(root).database.exists():
        return Workspace.open(root)
    workspace = Workspace.create(root)
    _say(f"Making the workspace {workspace.root} with the starter set …")
    imported = run(import_images(workspace, ImportConfig("starter")))
    _say(f"{imported.added} pictures of {len(imported.classes)} classes are in it.")
    return workspace


@contextmanager
def received(door: Door, workspace: Path, environment: MutableMapping[str, str]) -> Iterator[Whose]:
    """Whose workspaces the app shows while the context lasts: those beside ``workspace``, or each visitor's own.

    What happens in a public demo is written down meanwhile; with one person only where WINNOW_LOG says so.
    """
    with ExitStack() as while_served:
        if door.demo or environment.get(VARIABLE):
            while_served.enter_context(written_down(environment, "demo" if door.demo else "app"))
        if door.demo:
            yield while_served.enter_context(public_demo(environment))
        else:
            yield OnePerson(first_start(workspace).root)


def theme() -> gr.themes.Base:
    """The looks: quiet stone, one green, the fonts the reader's machine has; light and dark."""
    looks = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    )
    return looks.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_padding="0px",
        block_label_background_fill="*background_fill_primary",
        block_title_text_weight="500",
        block_title_text_color="*body_text_color",
        block_info_text_color="*body_text_color_subdued",
        block_info_text_color_dark="*body_text_color_subdued",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_border_color="*primary_700",
        button_primary_border_color_hover="*primary_800",
        button_primary_border_color_dark="*primary_700",
        button_secondary_background_fill="*background_fill_primary",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_600",
        button_border_width="1px",
        button_large_text_weight="500",
        button_large_text_size="*text_md",
        button_large_padding="10px 18px",
        color_accent="*primary_700",
        input_background_fill="*background_fill_primary",
        input_background_fill_dark="*neutral_900",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        slider_color="*primary_700",
        slider_color_dark="*primary_500",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_400",
    )


def launch_settings(door: Door, whose: Whose | None = None) -> dict[str, Any]:
    """What ``demo.launch`` is told besides the address: limits, looks, and nothing sent to anybody."""
    rules = Rules(
        (*LOOPBACK, door.host.strip("[]").lower()) if door.local else (),
        ADVICE.format(port=door.port),
        body=MOST_OF_A_VISITOR if door.demo else MOST_BODY,
        strangers=not door.local,
    )
    guard = Middleware(Guard, visitors=whose, rules=rules) if isinstance(whose, Visitors) else None
    limits = whose.limits if whose else None
    public = f"{limits.upload_megabytes}mb" if limits else PUBLIC_UPLOAD
    return {
        "share": door.share,
        "auth": door.auth,
        "root_path": door.root_path,
        "app_kwargs": {"middleware": [guard or Middleware(Gate, rules=rules)]},
        "max_file_size": LOCAL_UPLOAD if door.local else public,
        "ssr_mode": False,
        "show_error": True,
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": [],
        "mcp_server": False,
        "pwa": False,
        "_frontend": False,  # Gradio would end the app where its first page takes longer than 3 seconds
        "strict_cors": True,
        "state_session_capacity": SESSIONS + (limits.visitors * MOST_PAGES + MOST_PASSING if limits else 0),
        "theme": theme(),
        "css_paths": [STYLE],
        "quiet": True,
    }


def serve(demo: gr.Blocks, door: Door, whose: Whose) -> int:
    """Serve ``demo`` until Ctrl-C; returns the exit code. Jobs go on: they are processes of their own.

    Raises PipelineError where the port cannot be used, or the public link that was asked for cannot be made.
    """
    check_address(door.host, door.port)
    demo.queue(default_concurrency_limit=8, max_size=64)
    believe(os.environ, ("127.0.0.1", *door.proxy) if door.share else door.proxy)
    said = io.StringIO()
    try:
        # why there is no public link, Gradio only prints; the link itself may need a proxy
        with redirect_stdout(said), nullcontext() if door.share else none_of_it(os.environ):
            _, local_url, public_url = demo.launch(
                server_name=door.host, server_port=door.port, prevent_thread_lock=True, **launch_settings(door, whose)
            )
    except OSError as error:
        raise PipelineError(
            f"Port {door.port} on {door.host} cannot be used; something else has it, or it is not allowed. "
            f"Choose another: python app.py --port {door.port + 1}"
        ) from error
    if door.share and not public_url:
        demo.close(verbose=False)
        raise PipelineError(no_link(said.getvalue(), door.port))
    _say(f"Winnow is at {public_url or local_url}   (Ctrl-C stops it)")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        logging.getLogger("uvicorn.error").disabled = True  # of those whose answers end here
        if demo.server:  # it would wait for them
            demo.server.force_exit = True
        demo.close(verbose=False)
        _say("\nStopped." + ("" if door.demo else _still_running(whose.first().parent)))
        return 0


def no_link(said: str, port: int) -> str:
    """Why there is no public link, by what Gradio ``said``, and what to do instead."""
    lines = (line.partition("Could not create share link.")[2].strip() for line in said.splitlines())
    why = next(filter(None, lines), "It did not say why.")
    return (
        f"Gradio could not make a public link, so nothing is served. {why} The link needs the internet and a small "
        "program that Gradio fetches once. Instead: let people in by your own machine's address (--host 0.0.0.0 with "
        "--auth USER:PASSWORD, best behind a proxy that speaks https); run the repository as a Hugging Face Space; or "
        f"through a machine of yours that others can reach: ssh -R 8080:localhost:{port} that-machine"
    )


def _still_running(folder: Path) -> str:
    active = [
        f"{job.stage} in {workspace.name}"
        for workspace in workspaces_in(folder)
        for job in list_jobs(workspace)
        if job.active
    ]
    if not active:
        return ""
    return f" Still at work: {', '.join(active)}. It goes on by itself; open the app again to see or cancel it."


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
