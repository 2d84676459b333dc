"""One picture and a run: the answer, the networks that are kept, where it looked, and a picture by its address."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from pipeline.ask.one import Models, fetch_picture, picture_id
from pipeline.errors import NetworkError, RunError, UsageError
from pipeline.web.fetch import Client
from pipeline.workspace.runs import Run, load_run
from pipeline.workspace.workspace import Workspace
from tests.support.paths import DATA
from tests.support.shelf import tiny_run, trained
from tests.support.site import Site, reply

__all__ = ["tiny_run", "trained"]


@pytest.fixture
def apple(starter_folder: Path) -> str:
    return str(sorted((starter_folder / "apple").iterdir())[-1])


def test_a_picture_gets_a_probability_for_every_class(trained: Workspace, apple: str) -> None:
    found = Models().answer(load_run(trained), apple)
    assert list(found.probabilities) == ["apple", "melon", "pear"]
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert found.label == "apple" and json.loads(json.dumps(found.probabilities)) == found.probabilities


def test_a_changed_model_is_not_used(trained: Workspace, apple: str) -> None:
    weights = load_run(trained).folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(RunError, match="was changed"):
        Models().answer(load_run(trained), apple)


def test_only_the_last_few_models_are_kept(tiny_run: Run) -> None:
    models = Models(size=1)
    first = models.get(tiny_run)
    assert models.get(tiny_run) is first
    other = Run(tiny_run.folder.parent / ".." / "runs" / tiny_run.id, tiny_run.record)
    assert models.get(other) is not first
    assert models.get(tiny_run) is not first


def test_what_is_alike_comes_most_alike_first_with_a_copy_to_look_at(trained: Workspace, apple: str) -> None:
    copy, found = Models().alike(trained, load_run(trained), apple)
    assert copy.name == f"{picture_id(apple)}.jpg" and copy.is_relative_to(trained.thumbnails)
    assert [other.similarity for other in found] == sorted((other.similarity for other in found), reverse=True)
    assert {trained.store.image(other.id)["split"] for other in found} == {"train"}


def test_where_it_looked_is_a_picture_to_lay_over_any_or_one_of_the_workspace(trained: Workspace, apple: str) -> None:
    models, run = Models(), load_run(trained)
    image = str(trained.store.images("ok").iloc[0]["id"])
    for laid, about in (models.look(trained, run, apple), models.look_at_image(trained, run, image)):
        assert "said " in about.in_words(run.classes)
        with Image.open(laid) as heat:
            assert heat.mode == "RGBA"


def test_a_picture_is_fetched_byte_for_byte(site: Site, apple: str, tmp_path: Path) -> None:
    site.pages["/a.php"] = reply(Path(apple).read_bytes(), "Content-Type: image/jpeg", "X-Robots-Tag: noai")
    file = fetch_picture(
        f" http://{site.host}/a.php ", tmp_path, partial(Client, allow_hosts=(site.host,), honour_noai=False)
    )
    assert file.read_bytes() == Path(apple).read_bytes() and file.suffix == ".jpg"
    assert file.is_relative_to(tmp_path)


def test_a_heic_picture_is_fetched_without_being_opened_here(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (DATA / "grey_and_green.heic").read_bytes()
    site.pages["/a.heic"] = reply(data, "Content-Type: image/heic")
    monkeypatch.setattr("pipeline.ask.one.open_header", lambda _: pytest.fail("opened"))
    file = fetch_picture(f"http://{site.host}/a.heic", tmp_path, partial(Client, allow_hosts=(site.host,)))
    assert file.read_bytes() == data and file.suffix == ".heic"


def test_internal_hosts_are_never_asked(site: Site, tmp_path: Path) -> None:
    for address in (
        f"http://{site.host}/a.jpg",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "http://2130706433/",
    ):
        with pytest.raises(NetworkError, match="cannot be fetched"):
            fetch_picture(address, tmp_path, Client)
    assert site.hits == {} and not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "address", ["", "file:///etc/passwd", "ftp://a/b.jpg", "javascript:1", "picture.jpg", "http://"]
)
def test_what_is_no_address_is_said_to_be_none(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no link"):
        fetch_picture(address, tmp_path, Client)


def test_a_page_is_no_picture_and_is_not_kept(site: Site, tmp_path: Path) -> None:
    site.pages["/page"] = reply(b"<html><svg onload=alert(1)>")
    client = partial(Client, allow_hosts=(site.host,))
    with pytest.raises((UsageError, NetworkError), match=r"web page|not a picture"):
        fetch_picture(f"http://{site.host}/page", tmp_path, client)
    with pytest.raises(NetworkError, match="404"):
        fetch_picture(f"http://{site.host}/missing", tmp_path, client)
    assert not any(file.is_file() for file in tmp_path.rglob("*"))
