"""Ticks: what was unticked is skipped until it is taken back; what is blurred stays so while it is there."""

from __future__ import annotations

from pipeline.collect.download import download, waiting
from pipeline.search.wanted import UNTICKED, leave_out, take_back
from pipeline.stage import run
from pipeline.workspace.workspace import Workspace
from tests.collect.test_download import Web, picture, put_in


def test_what_was_unticked_is_not_asked_for_until_it_is_taken_back(workspace: Workspace) -> None:
    put_in(workspace, "a", "b")
    web = Web(a=picture(1), b=picture(2))
    pair = ("https://a.example/a", "bear")
    assert leave_out(workspace, [pair, ("https://a.example/unknown", "bear")]) == 1
    assert waiting(workspace) == 1
    run(download(workspace, fetch=web))
    row = workspace.store.candidates("skipped").iloc[0]
    assert (row["url"], row["reason"]) == (pair[0], UNTICKED)
    assert take_back(workspace, [pair]) == 1 and waiting(workspace) == 1
    assert run(download(workspace, fetch=web)).downloaded == 1
    assert leave_out(workspace, [pair]) == 0
