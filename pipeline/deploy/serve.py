"""The prediction app of one model alone: the very app that a Space runs, read by its path and given another folder."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import predict
from pipeline.errors import ExportError, PipelineError, UsageError
from pipeline.logs import logger, written_down
from pipeline.settings import about, check, setting
from pipeline.web import gate
from pipeline.web.proxies import none_of_it

TEMPLATE = Path(__file__).resolve().parents[2] / "spaces" / "gradio" / "app.py"
MCP_MISSING = (
    "--mcp needs the package mcp, which is not installed: python -m pip install 'gradio[mcp]'. It comes with an older "
    "pydantic, with which everything else works, too."
)
Served = Callable[..., None]
LOG = logger("serve")


@dataclass(frozen=True)
class ServeConfig:
    """Which model is served, and where."""

    model: str = field(metadata=about("a model folder: an export, a Space folder or a run", flag="MODEL"))
    host: str = setting("127.0.0.1", "address to listen at (0.0.0.0: from anywhere)", metavar="H")
    port: int = setting(7860, "port to listen at", low=1, high=65535)
    auth: str | None = setting(
        None, "ask everybody for this name and password", means={None: "nobody is asked"}, metavar="USER:PASSWORD"
    )
    proxy: str | None = setting(
        None,
        "the address of a proxy in front: what it says of who asks is believed",
        means={None: "there is none"},
        metavar="ADDRESS",
    )
    mcp: bool = setting(False, "also as a tool for language models, at /gradio_api/mcp/")

    def __post_init__(self) -> None:
        check(self)


def serve(config: ServeConfig, app: Served | None = None) -> dict[str, Any]:
    """Serve a model until Ctrl-C; returns the model's folder. ``app``: what serves a folder (default: a Space's app).

    Raises UsageError for what makes no sense, ExportError where the model cannot be used, and PipelineError where the
    port cannot be.
    """
    auth, proxy = password(config.auth), tuple((config.proxy or "").replace(",", " ").split())
    try:
        gate.proxies(proxy)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if config.mcp and importlib.util.find_spec("mcp") is None:
        raise PipelineError(MCP_MISSING)
    check_address(config.host, config.port)
    folder = Path(config.model).expanduser().resolve()
    if not folder.is_dir():
        raise ExportError(f"There is no model in {folder}. Give the folder of an export, a Space or a run.")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    settings: dict[str, Any] = {
        "server_name": config.host,
        "server_port": config.port,
        "auth": auth,
        "mcp_server": config.mcp,
    }
    settings |= {"proxy": proxy} if proxy else {}
    try:
        with written_down(os.environ, "serve"):
            LOG.info("serving begins")
            with none_of_it(os.environ):  # the model needs no network
                (app or space_app())(folder, **settings)
    except ValueError as error:
        raise ExportError(f"The model in {folder} cannot be used: {error}") from error
    except OSError as error:
        where = f"{config.host}, port {config.port}"
        raise PipelineError(f"It cannot be served at {where}: {error}. Choose another with --port.") from error
    return {"model": str(folder)}


def check_address(host: str, port: int) -> None:
    """Raises PipelineError where nothing can listen at ``host`` on this machine, whatever the port."""
    try:
        found = socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with socket.socket(found[0][0], socket.SOCK_STREAM) as tried:
            tried.bind((found[0][4][0], 0))
    except (OSError, ValueError, OverflowError) as error:  # ValueError: a NUL, or a part too long for a name
        raise PipelineError(
            f"{host!r:.100} is no address that this machine can listen at ({error}). Leave --host out for this machine "
            "alone; 0.0.0.0 is every address it has."
        ) from error


def password(text: str | None) -> tuple[str, str] | None:
    """(user, password) from ``USER:PASSWORD``; None for nothing. Raises UsageError."""
    if not text:
        return None
    user, colon, secret = text.partition(":")
    if not (user and colon and secret):
        raise UsageError("--auth is USER:PASSWORD, with both parts there.")
    return user, secret


def space_app(template: Path = TEMPLATE) -> Served:
    """What serves a model folder in a Space: the template's ``serve``. It asks the same ``predict`` as this
    program, behind the same ``gate``.
    """
    spec = importlib.util.spec_from_file_location("winnow_space_app", template)
    if spec is None or spec.loader is None:
        raise PipelineError(f"{template} is missing. Get the whole of Winnow anew.")
    module = importlib.util.module_from_spec(spec)
    for name, beside in (("predict", predict), ("gate", gate)):  # in a Space they lie beside the app
        sys.modules.setdefault(name, beside)
    spec.loader.exec_module(module)
    served: Served = module.serve
    return served
