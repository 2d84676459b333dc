from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import WorkspaceError
from pipeline.tabs.page.picker import Workspaces, chosen, folder_name
from pipeline.tabs.page.whose import OnePerson
from pipeline.workspace.workspace import Workspace


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    for name in ("bears", "Äpfel", "cars"):
        Workspace.create(tmp_path / "all" / name)
    (tmp_path / "all" / "holiday").mkdir()
    Workspace.create(tmp_path / "elsewhere")
    return Workspaces(OnePerson(tmp_path / "all" / "cars"))


def test_the_default_workspace_comes_first_and_only_its_sibling_workspaces_follow(workspaces: Workspaces) -> None:
    assert workspaces.names() == ["cars", "bears", "Äpfel"]


def test_a_listed_workspace_can_be_opened(workspaces: Workspaces) -> None:
    assert workspaces.open("Äpfel").name == "Äpfel"
    assert workspaces.open(None).name == "cars"  # the page has not chosen yet


@pytest.mark.parametrize("name", ["../elsewhere", "holiday", "", "/etc", ".", "bears/../cars", "bears\0"])
def test_no_other_name_is_opened_whatever_the_page_sends(workspaces: Workspaces, name: str | None) -> None:
    with pytest.raises(WorkspaceError, match="no workspace called"):
        workspaces.open(name)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("bears", "bears"),
        ("  My bears & cars!  ", "My-bears-cars"),
        ("Bären", "Bären"),
        ("熊", "熊"),
        ("../../etc", "etc"),
        ("a/b\\c:d", "a-b-c-d"),
        ("x" * 200, "x" * 60),
    ],
)
def test_a_workspaces_name_becomes_a_safe_folder_name(name: str, folder: str) -> None:
    assert folder_name(name) == folder


@pytest.mark.parametrize("name", ["", "   ", "../..", "---", "con", "LPT1", "\0"])
def test_a_name_without_letters_is_refused_with_advice(name: str) -> None:
    with pytest.raises(WorkspaceError, match="at least one letter"):
        folder_name(name)


def test_a_new_workspace_is_made_beside_the_others(workspaces: Workspaces) -> None:
    made = workspaces.create("Wild cats")
    assert made.root == workspaces.root.parent / "Wild-cats"
    assert "Wild-cats" in workspaces.names()


@pytest.mark.parametrize("name", ["bears", "holiday", "BEARS", "äpfel"])
def test_nothing_that_is_there_is_taken_for_a_new_workspace(workspaces: Workspaces, name: str) -> None:
    with pytest.raises(WorkspaceError, match="there already"):
        workspaces.create(name)


def test_the_pages_address_can_name_the_workspace(workspaces: Workspaces) -> None:
    def page(**query: str) -> SimpleNamespace:
        return SimpleNamespace(query_params=query)

    assert chosen(workspaces, page(workspace="bears")) == "bears"  # type: ignore[arg-type]
    assert chosen(workspaces, page(workspace="../elsewhere")) == "cars"  # type: ignore[arg-type]
    assert chosen(workspaces, None) == "cars"
