"""Test this Space: what does not install, start, answer or agree is told; nothing stays behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.deploy import trial
from pipeline.deploy.export import Exported
from pipeline.deploy.space import read_space
from pipeline.deploy.trial import Golden, TrialConfig, Tried, fingerprint, try_space
from pipeline.errors import DeployError, UsageError
from pipeline.stage import Progress, Stage, run
from tests.support.hub_stand_in import closed_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exported(exported_space: Exported) -> Path:
    """A Space folder of the tiny run. Read only."""
    return Path(exported_space.folder)


@pytest.fixture
def space(exported: Path, tmp_path: Path) -> Path:
    """The Space folder, to be changed; it asks for no packages, so that its environment is made quickly."""
    folder = Path(shutil.copytree(exported, tmp_path / "space"))
    (folder / "requirements.txt").write_text("")
    return folder


@pytest.fixture
def this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app is started by the Python that runs the tests, where how its environment is made isn't the subject."""

    def make(python: str, scratch: Path, folder: Path) -> Stage[Path]:
        yield Progress(1, 4)
        return Path(python)

    monkeypatch.setattr(trial, "_fresh_environment", make)


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process and no scratch folder of a trial is left, however it ended."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield
    assert not list(scratch.glob("winnow-trial-*"))
    assert not [one for one in psutil.Process().children(recursive=True) if "app.py" in " ".join(one.cmdline())]


def tried(folder: Path) -> Tried:
    return run(try_space(folder))


@pytest.mark.usefixtures("this_environment")
def test_an_app_that_ends_shows_the_last_it_said(space: Path) -> None:
    (space / "app.py").write_text("print('hello')\nraise SystemExit('the model is upside down')\n")
    with pytest.raises(DeployError, match=r"does not start(.|\n)*upside down"):
        tried(space)


def test_requirements_that_cannot_be_had_are_named(space: Path) -> None:
    (space / "requirements.txt").write_text("./no-such-package\n")
    with pytest.raises(DeployError, match=r"could not install its requirements(.|\n)*no-such-package"):
        tried(space)


@pytest.mark.usefixtures("this_environment")
def test_an_app_that_listens_and_never_answers_is_given_up(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "START_SECONDS", 3)
    (space / "app.py").write_text("import time\nprint('I sleep', flush=True)\ntime.sleep(600)\n")
    with pytest.raises(DeployError, match=r"did not answer within 3 s(.|\n)*I sleep"):
        tried(space)


@pytest.mark.usefixtures("this_environment")
def test_a_page_that_is_no_gradio_app_is_no_space(space: Path) -> None:
    (space / "app.py").write_text(
        "import http.server, os\n"
        "http.server.test(http.server.SimpleHTTPRequestHandler, port=int(os.environ['GRADIO_SERVER_PORT']),"
        " bind='127.0.0.1')\n"
    )
    with pytest.raises(DeployError, match="does not answer at /predict"):
        tried(space)


@pytest.mark.usefixtures("this_environment")
def test_cancelled_it_stops_what_it_started(space: Path) -> None:
    (space / "app.py").write_text("import time\ntime.sleep(600)\n")
    stage = try_space(space)
    for step in stage:
        if step.note.startswith("Starting its app ("):
            break
    stage.close()


def test_a_space_that_is_not_there_is_told(space: Path) -> None:
    with closed_port() as url, pytest.raises(DeployError, match="does not answer"):
        run(try_space(space, url))


def test_without_a_folder_it_is_wrong_usage_and_a_folder_without_a_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        TrialConfig(" ")
    with pytest.raises(DeployError, match=r"no README\.md"):
        tried(tmp_path)


def test_the_fingerprint_changes_with_any_file(space: Path) -> None:
    before = fingerprint(read_space(space))
    (space / "examples" / "01.jpg").write_bytes((space / "examples" / "02.jpg").read_bytes())
    assert fingerprint(read_space(space)) != before
    before = fingerprint(read_space(space))
    (space / ".hidden").write_text("is not sent")
    assert fingerprint(read_space(space)) == before


def test_other_answers_are_a_failure_that_names_the_picture(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [Progress(0, 1)]

    def another(url: str, golden: list[Golden], token: str | None = None) -> object:
        return [{name: 1 - p for name, p in one.expected.items()} for one in golden], [0.1] * len(golden)

    monkeypatch.setattr(trial, "_ask", another)
    with pytest.raises(DeployError, match=r"answer as the model in its folder does: on .*\.(jpg|png)"):
        run(try_space(exported, "http://127.0.0.1:1"), said.append)
    assert "model here" not in said[-1].note


def test_a_space_in_a_fresh_environment_answers_as_the_model_here_does(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_COMPILE", "no")  # pip's way to say yes: what the app imports is compiled as it starts
    try:
        found = tried(exported)
    except DeployError as error:
        if "could not install its requirements" in str(error):
            pytest.skip("its packages cannot be had here")
        raise
    assert found.where == "here" and found.agreed["images"] >= 6 and found.agreed["same_top"]
    assert found.agreed["max_difference"] <= trial.TOLERANCE
    assert found.memory_mib is not None and found.memory_mib < 400
