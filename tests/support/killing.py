"""A command killed at random moments, within the time that it takes on this machine, and its workspace checked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.paths import ROOT, SHARED

KILL_LOOP = SHARED / "kill_loop.py"


def killed_again_and_again(words: Sequence[str], root: Path, check: Sequence[object], rounds: int, seed: int) -> None:
    """Run ``python cli.py`` with ``words`` and the workspace ``root``, killed ``rounds`` times, then left to its end;
    the script ``check`` (with its arguments) has to succeed after each. A copy of the workspace tells how long a whole
    run takes.
    """
    command = [sys.executable, "cli.py", *words]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    another = shutil.copytree(root, root.with_name("another"))
    began = time.monotonic()
    subprocess.run([*command, str(another)], cwd=ROOT, env=here, capture_output=True, check=True)
    whole = time.monotonic() - began
    how = ("--n", str(rounds), "--seed", str(seed), "--min", str(0.2 * whole), "--max", str(0.6 * whole))
    checking = " ".join(map(str, (sys.executable, *check)))
    done = subprocess.run(
        [sys.executable, str(KILL_LOOP), *how, "--check", checking, "--", *command, str(root)],
        cwd=ROOT,
        env=here,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert " killed after" in done.stdout
