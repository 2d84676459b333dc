"""What was taken together is read from what is known, and a person has the last word."""

from __future__ import annotations

from pipeline.verify.scenes import known_scenes
from pipeline.workspace.records import NewImage
from pipeline.workspace.workspace import Workspace


def image(name: str, scene: str | None = None) -> NewImage:
    return NewImage(name, f"{name[:2]}/{name}.jpg", 10, "cat", "folder", f"cat/{name}.jpg", scene=scene)


def test_a_column_comes_before_the_series_that_verify_found(workspace: Workspace) -> None:
    store = workspace.store
    assert (known_scenes(workspace).by, len(known_scenes(workspace).names)) == ("", 0)
    store.add_images([image("aa"), image("bb"), image("cc")])
    assert known_scenes(workspace).by == "" and known_scenes(workspace).names.isna().all()
    store.set_series({"aa": "s", "bb": "s"})
    assert known_scenes(workspace).by == "series"
    assert known_scenes(workspace).names.dropna().to_dict() == {"aa": "s", "bb": "s"}
    store.add_images([image("cc", "patient 7"), image("dd", "patient 8")])
    assert known_scenes(workspace).by == "column"
    assert known_scenes(workspace).names.dropna().to_dict() == {"cc": "patient 7", "dd": "patient 8"}
