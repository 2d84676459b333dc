"""What the page's scripts compute without a page, where Node.js is there: every ``*.test.js`` beside the tests."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.support.paths import ROOT

SCRIPTS = sorted((ROOT / "tests").rglob("*.test.js"))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_scripts_compute_what_they_should() -> None:
    run = subprocess.run(["node", "--test", *map(str, SCRIPTS)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "fail 0" in run.stdout
    assert "pass 0" not in run.stdout
