"""The state of the Clean tab's queue, event by event, where Node.js is there: queue_state.test.js."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_queue_is_right_after_every_event() -> None:
    script = Path(__file__).with_name("queue_state.test.js")
    run = subprocess.run(["node", "--test", str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout
    assert "fail 0" in run.stdout and "pass 0" not in run.stdout
