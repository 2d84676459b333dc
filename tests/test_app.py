"""The browser's door: who may come in, what a first start brings, that it stops cleanly and leaves jobs at work."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

import app
from pipeline.deploy.serve import password
from pipeline.errors import PipelineError, UsageError, WorkspaceError
from pipeline.jobs import job as jobs
from pipeline.tabs.door.serve import Door, first_start, launch_settings, serve
from pipeline.tabs.page.whose import OnePerson
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace
from tests.support.apps import free_port
from tests.support.paths import ROOT
from tests.support.stages import CountConfig, count

TABS = ["Collect", "Verify", "Label", "Train", "Review", "Clean", "Predict", "Deploy", "Models"]


@pytest.fixture(scope="module")
def mine(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny run and its pictures, in a workspace that all tests here ask."""
    copy = tmp_path_factory.mktemp("mine") / "trained"
    shutil.copytree(tiny_run.folder.parents[1], copy, ignore=shutil.ignore_patterns("cache"))
    return Workspace.open(copy)


@pytest.fixture(scope="module")
def for_strangers(mine: Workspace) -> gr.Blocks:
    """The app as others on the network see it."""
    return app.create_app(mine.root)


@pytest.fixture(scope="module")
def at_home(mine: Workspace) -> gr.Blocks:
    """The app as it is on one's own machine."""
    return app.create_app(mine.root, local=True)


@pytest.fixture(scope="module")
def served(for_strangers: gr.Blocks) -> Iterator[str]:
    _, address, _ = for_strangers.launch(
        server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, **launch_settings(Door())
    )
    yield address
    for_strangers.close(verbose=False)


def answer(address: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=20) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


# --- who may come in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--share"], ["--host", "0.0.0.0"], ["--host", "192.168.1.5"], ["--host", "my.machine"]),
        *(["--root-path", "/winnow"], ["--proxy", "127.0.0.1"], ["--root-path", "/w", "--proxy", "10.0.0.0/8"]),
    ],
)
def test_nobody_else_is_let_in_without_a_password(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["--workspace", str(tmp_path / "w"), *arguments]) == 2
    error = capsys.readouterr().err
    assert "--auth USER:PASSWORD" in error and "WINNOW_AUTH" in error and len(error.splitlines()) == 1
    assert not (tmp_path / "w").exists()


def test_a_password_or_a_public_demo_opens_the_door() -> None:
    assert not Door(host="0.0.0.0", auth=("ann", "secret")).local
    assert not Door(host="0.0.0.0", demo=True).local
    assert not Door(share=True, auth=("ann", "secret")).local
    assert not Door(root_path="/winnow", auth=("ann", "secret")).local
    assert not Door(proxy=("127.0.0.1",), demo=True).local
    assert Door().local and Door(host="localhost").local and Door(host="::1").local


def test_a_password_has_two_parts() -> None:
    assert password("ann:se:cret") == ("ann", "se:cret")
    assert password("") is password(None) is None
    for text in ("ann", "ann:", ":secret"):
        with pytest.raises(UsageError, match="USER:PASSWORD"):
            password(text)


def test_the_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WINNOW_AUTH", "no-colon")
    assert app.main(["--workspace", str(tmp_path / "w")]) == 2


def test_strangers_cannot_name_folders_of_the_machine(for_strangers: gr.Blocks, at_home: gr.Blocks) -> None:
    def ids(demo: gr.Blocks) -> set[str]:
        return {str(block.elem_id) for block in demo.blocks.values()}

    assert "collect-path" not in ids(for_strangers)
    assert "collect-path" in ids(at_home)


def test_uploads_of_strangers_are_smaller_than_ones_own() -> None:
    assert launch_settings(Door())["max_file_size"] == "4gb"
    assert launch_settings(Door(demo=True, host="0.0.0.0"))["max_file_size"] == "200mb"


# --- the page and its one public function -----------------------------------------------------------------------------


def test_the_page_has_the_tabs_in_the_order_of_the_work(for_strangers: gr.Blocks) -> None:
    tabs = [block.label for block in for_strangers.blocks.values() if isinstance(block, gr.Tab)]
    assert tabs == TABS


def test_every_component_id_is_used_once(at_home: gr.Blocks) -> None:
    ids = [block.elem_id for block in at_home.blocks.values() if block.elem_id]
    assert sorted({one for one in ids if ids.count(one) > 1}) == []


def test_another_sites_page_cannot_talk_to_the_app_by_a_name_of_its_own(served: str) -> None:
    assert answer(served) == 200
    assert answer(served, Host="evil.example") == 400


def test_only_prediction_is_a_public_function(served: str) -> None:
    api: Any = Client(served, verbose=False).view_api(return_format="dict", print_info=False)
    assert list(api["named_endpoints"]) == ["/predict"] and api["unnamed_endpoints"] == {}


def test_a_program_can_ask_for_a_prediction(served: str, starter_folder: Path) -> None:
    client = Client(served, verbose=False)
    picture = sorted((starter_folder / "apple").iterdir())[-1]
    found, warning = client.predict(handle_file(picture), None, None, api_name="/predict")
    assert found["label"] == "apple" and {row["label"] for row in found["confidences"]} == {"apple", "melon", "pear"}
    assert isinstance(warning, str)


def test_a_program_that_sends_nonsense_is_told_in_words(served: str, tmp_path: Path) -> None:
    client = Client(served, verbose=False)
    junk = tmp_path / "junk.jpg"
    junk.write_bytes(b"\xff\xd8\xffno picture")
    with pytest.raises(AppError, match="This picture cannot be read"):
        client.predict(handle_file(junk), None, None, api_name="/predict")
    with pytest.raises(AppError, match="no workspace called"):
        client.predict(None, None, "../elsewhere", api_name="/predict")


def test_no_file_of_the_machine_is_served(served: str, mine: Workspace) -> None:
    picture = next(mine.images.rglob("*.jpg"))
    thumbnail = next(mine.thumbnails.rglob("*.jpg"))
    for path in ("/etc/passwd", mine.database, picture):
        assert answer(f"{served}gradio_api/file={path}") == 403
    Client(served, verbose=False).predict(None, None, None, api_name="/predict")  # opens the workspace
    assert answer(f"{served}gradio_api/file={thumbnail}") == 200
    assert answer(f"{served}gradio_api/file={picture}") == 403


# --- starting and stopping --------------------------------------------------------------------------------------------


def test_a_first_start_brings_the_starter_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = first_start(tmp_path / "new" / "workspace")
    assert len(workspace.store.images()) > 100
    assert "starter set" in capsys.readouterr().out


def test_a_later_start_adds_nothing(workspace: Workspace) -> None:
    assert len(first_start(workspace.root).store.images()) == 0


def test_a_workspace_that_cannot_be_written_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert app.main(["--workspace", str(tmp_path / "file" / "workspace")]) == 1
    error = capsys.readouterr().err
    assert "cannot be written" in error and len(error.splitlines()) == 1


def test_a_folder_of_other_files_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("")
    with pytest.raises(WorkspaceError, match="already holds other files"):
        first_start(tmp_path)


def test_a_taken_port_is_one_clear_line(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert app.main(["--workspace", str(workspace.root), "--port", str(port)]) == 1
    error = capsys.readouterr().err
    assert f"Port {port}" in error and f"--port {port + 1}" in error and len(error.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_the_app_and_leaves_jobs_at_work(
    workspace: Workspace, tmp_path: Path, end: signal.Signals
) -> None:
    log = tmp_path / "log.txt"
    command = [sys.executable, "app.py", "--workspace", str(workspace.root), "--port", str(free_port())]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=os.environ.copy())
    job = jobs.start(workspace, count, CountConfig(to=2_000, seconds=0.05))
    try:
        deadline = time.monotonic() + 120
        while "Winnow is at" not in log.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        process.send_signal(end)
        assert process.wait(30) == 0
        said = log.read_text()
        assert "Stopped." in said and "count in workspace" in said and "Traceback" not in said
        assert jobs.get_job(workspace, job.id).active
    finally:
        process.kill()
        jobs.cancel(workspace, job.id)
        jobs.wait_for(workspace, job.id, 30)


# --- a public demo, and a link that cannot be had --------------------------------------------------------------------


def opened_by(*arguments: str, **environment: str) -> Door:
    return Door.of(app._parser().parse_args(arguments), environment)


def test_a_space_without_a_password_is_a_public_demo_and_nothing_else_is_by_itself() -> None:
    assert opened_by(SPACE_ID="me/winnow").demo
    assert opened_by("--public-demo", "--host", "0.0.0.0").demo
    assert not opened_by(SPACE_ID="me/winnow", WINNOW_AUTH="ann:secret").demo
    assert not opened_by().demo
    both = opened_by("--public-demo", "--auth", "ann:secret")
    assert both.demo and both.auth == ("ann", "secret") and not both.local


def test_a_public_demo_shows_nobodys_own_workspace() -> None:
    with pytest.raises(UsageError, match="Leave --workspace out"):
        opened_by("--public-demo", "--workspace", "bears")


class WithoutLink:
    """An app whose launch goes well, but for the link."""

    closed = False

    def queue(self, **_settings: Any) -> None:
        return

    def launch(self, **_settings: Any) -> tuple[None, str, None]:
        print("\nCould not create share link. Missing file: /somewhere/frpc_linux_amd64_v0.3. \n\nPlease check …")
        return None, "http://127.0.0.1:7860/", None

    def close(self, verbose: bool = True) -> None:
        self.closed = True


def test_a_link_that_cannot_be_had_is_said_and_nothing_is_served(workspace: Workspace) -> None:
    demo = WithoutLink()
    with pytest.raises(PipelineError) as caught:
        serve(demo, Door(share=True, auth=("ann", "secret")), OnePerson(workspace.root))  # type: ignore[arg-type]
    said = str(caught.value)
    assert demo.closed and "\n" not in said
    for part in (
        "nothing is served. Missing file: /somewhere/frpc_linux",
        "--host",
        "Space",
        "ssh -R 8080:localhost:7860",
    ):
        assert part in said
