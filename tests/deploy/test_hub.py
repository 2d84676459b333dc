"""Publishing a Space folder, against a stand-in of the hub that speaks its protocol over HTTP."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from pipeline.deploy.hub import DeployConfig, Deployed, deploy
from pipeline.deploy.space import read_space
from pipeline.errors import DeployError
from pipeline.stage import Progress, run
from tests.support.hub_stand_in import TOKEN, HubStandIn, closed_port

README = """---
title: Bears
sdk: gradio
sdk_version: 6.31.0
app_file: app.py
colorFrom: blue
colorTo: green
---
# Bears
"""
WEIGHTS = bytes(range(256)) * 8_000


@pytest.fixture
def space(tmp_path: Path) -> Path:
    folder = tmp_path / "bears"
    (folder / "examples").mkdir(parents=True)
    (folder / "README.md").write_text(README)
    (folder / "app.py").write_text("import gradio\n")
    (folder / "requirements.txt").write_bytes(b"torch\r\n")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "examples" / "Bär 1.jpg").write_bytes(b"\xff\xd8\xff\x00 a bear")
    (folder / "examples" / "empty.txt").write_bytes(b"")
    return folder


@pytest.fixture
def publish(hub: HubStandIn, space: Path) -> Callable[..., Deployed]:
    def publish(
        repo_id: str = "ann/bears",
        private: bool = False,
        token: str | None = TOKEN,
        wait: float = 120,
        **options: object,
    ) -> Deployed:
        config = DeployConfig(str(space), repo_id, private, wait)
        stage = deploy(config, token, hub=partial(HfApi, endpoint=hub.url), sleep=lambda seconds: None)
        return run(stage, **options)  # type: ignore[arg-type]

    return publish


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_arrives_as_it_is(hub: HubStandIn, space: Path, publish: Callable[..., Deployed]) -> None:
    assert publish() == Deployed(f"{hub.url}/spaces/ann/bears")
    assert hub.spaces["ann/bears"].files == contents(space)
    assert hub.spaces["ann/bears"].sdk == "gradio"
    assert not hub.spaces["ann/bears"].private


def test_the_space_changes_in_one_commit(hub: HubStandIn, publish: Callable[..., Deployed]) -> None:
    publish()
    assert len(hub.spaces["ann/bears"].commits) == 1


def test_progress_counts_the_bytes_up_to_the_end(space: Path, publish: Callable[..., Deployed]) -> None:
    seen: list[Progress] = []
    publish(show=seen.append)
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert seen[-1].done == seen[-1].total == sum(map(len, contents(space).values())) + 1
    assert "Sending model.safetensors" in [step.note for step in seen]


def test_a_second_deploy_updates_what_changed_and_sends_nothing_twice(
    hub: HubStandIn, space: Path, publish: Callable[..., Deployed]
) -> None:
    publish()
    (space / "app.py").write_text("import gradio as gr\n")
    hub.requests.clear()
    publish()
    assert hub.spaces["ann/bears"].files == contents(space)
    assert len(hub.spaces["ann/bears"].commits) == 2
    assert not [request for request in hub.requests if request.method == "PUT"]


def test_deploying_the_same_again_changes_nothing(hub: HubStandIn, publish: Callable[..., Deployed]) -> None:
    publish()
    assert publish().url == f"{hub.url}/spaces/ann/bears"
    assert len(hub.spaces["ann/bears"].commits) == 1


def test_new_weights_replace_the_old_ones(hub: HubStandIn, space: Path, publish: Callable[..., Deployed]) -> None:
    publish()
    (space / "model.safetensors").write_bytes(WEIGHTS[::-1])
    publish()
    assert hub.spaces["ann/bears"].files["model.safetensors"] == WEIGHTS[::-1]


def test_a_private_space_is_private_from_its_first_moment(hub: HubStandIn, publish: Callable[..., Deployed]) -> None:
    publish(private=True)
    assert hub.spaces["ann/bears"].private


def test_private_is_not_silently_public_when_the_space_exists(
    hub: HubStandIn, publish: Callable[..., Deployed]
) -> None:
    publish()
    hub.requests.clear()
    with pytest.raises(DeployError, match=r"exists already and is public.*settings"):
        publish(private=True)
    assert not any("preupload" in request.path or "commit" in request.path for request in hub.requests)


def test_hidden_files_and_caches_stay_here(hub: HubStandIn, space: Path, publish: Callable[..., Deployed]) -> None:
    expected = contents(space)
    (space / ".env").write_text(f"HF_TOKEN={TOKEN}\n")
    (space / ".git").mkdir()
    (space / ".git" / "config").write_text("[core]\n")
    (space / "__pycache__").mkdir()
    (space / "__pycache__" / "app.cpython-311.pyc").write_bytes(b"\0")
    (space / "venv").mkdir()
    (space / "venv" / "pyvenv.cfg").write_text("home = /usr\n")
    seen: list[Progress] = []
    publish(show=seen.append)
    assert hub.spaces["ann/bears"].files == expected
    assert seen[0].note.endswith("left out: .env, .git, __pycache__, venv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", f"my token is {TOKEN}"),
        ("examples/weights.bin", "\0\0hf_" + "a1B2" * 9),
        ("server.key", "-----BEGIN"),
        ("token.txt", "whatever"),
    ],
)
def test_a_secret_in_the_folder_stops_it_before_any_network(
    hub: HubStandIn, space: Path, publish: Callable[..., Deployed], name: str, content: str
) -> None:
    (space / name).write_text(content)
    with pytest.raises(DeployError, match="looks like it holds a password or a token") as caught:
        publish()
    assert name in str(caught.value)
    assert "hf_" not in str(caught.value)
    assert hub.requests == []


def test_a_token_of_another_form_is_found_in_the_files_too(space: Path) -> None:
    (space / "config.json").write_text('{"key": "api_org_secretsecret"}')
    read_space(space)
    with pytest.raises(DeployError, match=r"config\.json"):
        read_space(space, "api_org_secretsecret")


def test_a_link_is_refused(hub: HubStandIn, space: Path, tmp_path: Path, publish: Callable[..., Deployed]) -> None:
    (tmp_path / "elsewhere.txt").write_text("not part of the Space")
    (space / "linked.txt").symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(DeployError, match=r"linked\.txt in the Space folder is a link"):
        publish()
    assert hub.requests == []


@pytest.mark.parametrize(
    ("readme", "expected"),
    [
        (None, r"has no README\.md.*--space"),
        ("# Bears\n", "does not say what kind of Space"),
        ("---\nsdk: excel\n---\n", "does not say what kind of Space"),
        ("---\nsdk: [gradio\n---\n", "cannot be read"),
        ("---\nsdk: gradio\napp_file: main.py\n---\n", r"main\.py is missing"),
        ("---\nsdk: static\n---\n", r"index\.html is missing"),
    ],
)
def test_a_folder_that_is_no_space_is_refused_before_any_network(
    hub: HubStandIn, space: Path, publish: Callable[..., Deployed], readme: str | None, expected: str
) -> None:
    if readme is None:
        (space / "README.md").unlink()
    else:
        (space / "README.md").write_text(readme)
    with pytest.raises(DeployError, match=expected):
        publish()
    assert hub.requests == []


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"has no README\.md"):
        run(deploy(DeployConfig(str(tmp_path / "nowhere"), "ann/bears"), TOKEN))


@pytest.mark.parametrize(
    "repo_id",
    [
        "bears",
        "ann/",
        "/bears",
        "ann/bears/2",
        "ann/bä",
        "ann/a--b",
        "ann/..",
        "https://huggingface.co/ann/b",
        "a b/c",
        "",
    ],
)
def test_a_name_that_cannot_be_is_refused_before_any_network(
    hub: HubStandIn, publish: Callable[..., Deployed], repo_id: str
) -> None:
    with pytest.raises(DeployError, match="for example ann/bears"):
        publish(repo_id=repo_id)
    assert hub.requests == []


@pytest.mark.parametrize("token", [None, "", "  ", "hf_abc def", "hf_abc\r\nX-Evil: 1", "hf_ä"])
def test_without_a_usable_token_it_says_where_to_get_one(
    hub: HubStandIn, publish: Callable[..., Deployed], token: str | None
) -> None:
    with pytest.raises(DeployError, match=r"huggingface\.co/settings/tokens") as caught:
        publish(token=token)
    assert "hf_abc" not in str(caught.value)
    assert hub.requests == []


def test_a_token_copied_with_its_line_end_works(hub: HubStandIn, publish: Callable[..., Deployed]) -> None:
    publish(token=f" {TOKEN}\n")
    assert "ann/bears" in hub.spaces


def test_a_wrong_token_is_said_to_be_wrong(hub: HubStandIn, publish: Callable[..., Deployed]) -> None:
    with pytest.raises(DeployError, match="does not know this token"):
        publish(token="hf_wrongwrongwrong")
    assert hub.spaces == {}


def test_a_free_account_is_told_what_it_can_do(hub: HubStandIn, publish: Callable[..., Deployed]) -> None:
    hub.fail("POST", "/api/repos/create", 402, "Creating a Gradio Space requires PRO")
    with pytest.raises(DeployError, match=r"--kind static.*--kind zerogpu.*python app\.py.*pricing.*requires PRO"):
        publish()


def test_a_free_account_can_update_a_space_that_it_has(
    hub: HubStandIn, space: Path, publish: Callable[..., Deployed]
) -> None:
    publish()
    hub.fail("POST", "/api/repos/create", 402, "Creating a Gradio Space requires PRO")
    (space / "app.py").write_text("new\n")
    publish()
    assert hub.spaces["ann/bears"].files["app.py"] == b"new\n"


def test_it_waits_until_the_space_runs_and_says_what_it_waits_for(
    hub: HubStandIn, publish: Callable[..., Deployed]
) -> None:
    hub.stages = ["NO_APP_FILE", "BUILDING", "BUILDING", "APP_STARTING", *["RUNNING"] * 9]
    seen: list[Progress] = []
    assert publish(show=seen.append).stage == "RUNNING"
    notes = [step.note for step in seen]
    assert "The Space is being built (3 s)" in notes and "The Space is starting (9 s)" in notes
    assert notes[-1] == "Published; it runs"


def test_an_update_is_not_taken_for_done_while_the_version_before_still_runs(
    hub: HubStandIn, publish: Callable[..., Deployed]
) -> None:
    publish()
    hub.stages = ["RUNNING", "RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING", "RUNTIME_ERROR"]
    with pytest.raises(DeployError, match="does not start"):
        publish()


@pytest.mark.parametrize(("stage", "words"), [("BUILD_ERROR", "could not be built"), ("RUNTIME_ERROR", "not start")])
def test_a_space_that_does_not_come_up_shows_the_end_of_its_log(
    hub: HubStandIn, publish: Callable[..., Deployed], stage: str, words: str
) -> None:
    hub.stages, hub.log = [stage], [*(f"line {n}" for n in range(50)), f"No module named torch; {TOKEN}"]
    with pytest.raises(DeployError, match=words) as caught:
        publish()
    text = str(caught.value)
    assert f"{hub.url}/spaces/ann/bears is there" in text and text.endswith("No module named torch; hf_…")
    assert "line 49" in text and "line 20" not in text
    hub.fail("GET", "/logs/", 403)
    with pytest.raises(DeployError, match=r"Its log is at .*\?logs="):
        publish()


def test_a_build_that_takes_too_long_is_left_alone_and_a_hub_that_stumbles_is_asked_again(
    hub: HubStandIn, publish: Callable[..., Deployed]
) -> None:
    hub.fail("GET", "/runtime", 500)
    seen: list[Progress] = []
    assert publish(wait=7, show=seen.append).stage == "BUILDING"
    assert len([step for step in seen if step.note.startswith("The Space is being built")]) == 3
    hub.recover()
    hub.stages = ["APP_STARTING"]
    assert publish(wait=7).stage == "APP_STARTING"
    hub.fail("GET", "/runtime", 404, "what a hub does not know is no failure either")
    assert publish().stage == "BUILDING"


def test_a_space_that_asks_for_zerogpu_gets_it(hub: HubStandIn, space: Path, publish: Callable[..., Deployed]) -> None:
    (space / "README.md").write_text(README.replace("sdk: gradio", "sdk: gradio\nsuggested_hardware: zero-a10g"))
    publish()
    assert hub.spaces["ann/bears"].hardware == "zero-a10g"


def test_a_static_space_is_there_at_once(hub: HubStandIn, space: Path, publish: Callable[..., Deployed]) -> None:
    (space / "README.md").write_text("---\nsdk: static\n---\n")
    (space / "index.html").write_text("<!doctype html>")
    publish()
    assert hub.spaces["ann/bears"].sdk == "static"
    assert len([one for one in hub.requests if one.path.endswith("/runtime")]) == 1


def test_the_space_of_somebody_else_is_out_of_reach(hub: HubStandIn, publish: Callable[..., Deployed]) -> None:
    with pytest.raises(DeployError, match=r"may not write to bob/bears.*write access for bob"):
        publish(repo_id="bob/bears")


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/preupload/", 404, "knows no ann/bears"),
        ("/commit/", 409, "Somebody else is changing"),
        ("/commit/", 413, "too large"),
        ("/commit/", 500, "fault of its own"),
        ("/commit/", 418, r"refused \(HTTP 418\)"),
    ],
)
def test_every_refusal_is_put_into_words(
    hub: HubStandIn, publish: Callable[..., Deployed], path: str, status: int, expected: str
) -> None:
    hub.fail("POST", path, status, "because I say so")
    with pytest.raises(DeployError, match=expected) as caught:
        publish()
    assert "It said: because I say so" in str(caught.value)


def test_a_readme_the_hub_does_not_like_is_explained(
    hub: HubStandIn, space: Path, publish: Callable[..., Deployed]
) -> None:
    (space / "README.md").write_text(README.replace("blue", "bleu"))
    with pytest.raises(DeployError, match=r"does not accept the Space.*colorFrom"):
        publish()


def test_without_a_network_it_says_so(space: Path, hub: HubStandIn) -> None:
    with closed_port() as url, pytest.raises(DeployError, match="cannot be reached"):
        run(deploy(DeployConfig(str(space), "ann/bears"), TOKEN, hub=partial(HfApi, endpoint=url)))


def test_switched_off_by_an_environment_variable_it_names_it(space: Path) -> None:
    with pytest.raises(DeployError, match="HF_HUB_OFFLINE"):
        run(deploy(DeployConfig(str(space), "ann/bears"), TOKEN))


def test_a_token_is_never_sent_unencrypted_to_another_machine(space: Path) -> None:
    hub = partial(HfApi, endpoint="http://hub.example")
    with pytest.raises(DeployError, match="is not https, so the token is not sent"):
        run(deploy(DeployConfig(str(space), "ann/bears"), TOKEN, hub=hub))


def test_a_connection_cut_at_the_last_step_leaves_the_space_as_it_was(
    hub: HubStandIn, space: Path, publish: Callable[..., Deployed]
) -> None:
    publish()
    before = dict(hub.spaces["ann/bears"].files)
    (space / "app.py").write_text("new\n")
    hub.fail("POST", "/commit/", 0)
    with pytest.raises(DeployError, match=r"connection broke.*deploy again"):
        publish()
    assert hub.spaces["ann/bears"].files == before
    hub.recover()
    publish()
    assert hub.spaces["ann/bears"].files == contents(space)


def test_cancelled_half_way_the_space_is_as_it_was(hub: HubStandIn, space: Path) -> None:
    stage = deploy(DeployConfig(str(space), "ann/bears"), TOKEN, hub=partial(HfApi, endpoint=hub.url))
    while not next(stage).note.startswith("Publishing"):
        pass
    stage.close()
    assert hub.spaces["ann/bears"].files == {}


def test_the_token_reaches_the_hub_and_nobody_else(hub: HubStandIn, publish: Callable[..., Deployed]) -> None:
    publish()
    assert {request.path.split("?")[0].rsplit("/", 1)[0] for request in hub.requests if not request.authorized} == {
        "/blobs"
    }


@pytest.mark.parametrize("failing", [None, "/api/repos/create", "/preupload/", "/blobs/", "/verify", "/commit/"])
def test_the_token_is_in_no_log_message_or_file(
    hub: HubStandIn,
    space: Path,
    tmp_path: Path,
    publish: Callable[..., Deployed],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    failing: str | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[Progress] = []
    text = ""
    if failing:
        hub.fail("PUT" if failing == "/blobs/" else "POST", failing, 400, f"no: {TOKEN} and hf_AnotherToken1")
        with pytest.raises(DeployError) as caught:
            publish(show=seen.append)
        text = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert "no: hf_… and hf_…" in text
    else:
        publish(show=seen.append)
    printed = capfd.readouterr()
    assert TOKEN not in text + caplog.text + printed.out + printed.err + repr(seen)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_traceback_that_shows_variables_does_not_show_the_token(hub: HubStandIn, space: Path) -> None:
    hub.fail("POST", "/commit/", 500)
    try:
        run(deploy(DeployConfig(str(space), "ann/bears"), TOKEN, hub=partial(HfApi, endpoint=hub.url)))
    except DeployError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    inside = [frame for frame in shown.stack if frame.filename.endswith("hub.py") and frame.name == "deploy"]
    assert "secret = 'hf_…'" in [f"{name} = {value}" for name, value in (inside[0].locals or {}).items()]
    shown_variables = {name: value for name, value in (inside[0].locals or {}).items() if name != "token"}
    assert TOKEN not in str(shown_variables)


def test_in_a_process_of_its_own_it_reads_the_hubs_address_from_the_environment(hub: HubStandIn, space: Path) -> None:
    program = (
        "import os, sys; from pipeline.deploy.hub import *; from pipeline.stage import run;"
        "print(run(deploy(DeployConfig(sys.argv[1], 'ann/bears', wait=0), os.environ['HF_TOKEN'])).url)"
    )
    environment = {**os.environ, **hub.environment, "HF_TOKEN": TOKEN, "HF_DEBUG": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", program, str(space)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, f"{hub.url}/spaces/ann/bears"), ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr
    assert hub.spaces["ann/bears"].files == contents(space)
