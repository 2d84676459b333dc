"""Running a contender of a benchmark: a script in a process of its own, whose clock starts after its imports."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

CLOCK = """
import json, resource, sys, time
def used():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
def timed(work):
    began, before = time.perf_counter(), used()
    answer = work()
    measured = {"seconds": time.perf_counter() - began, "cpu": used() - before, "answer": answer}
    print("\\n" + json.dumps(measured), flush=True)
"""


def contend(python: str, script: str, *arguments: Path | str, seconds: float = 1800.0) -> dict[str, Any]:
    """What ``script`` (which calls ``timed(work)``) measured in the interpreter ``python``: seconds, cpu, answer."""
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/bin:/bin", "MPLBACKEND": "Agg"}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "contender.py"
        file.write_text(CLOCK + script)
        command = [python, str(file), *map(str, arguments)]
        environment["HOME"] = scratch
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=seconds)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"seconds"')]
    if not lines:
        raise SystemExit(f"{python} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    measured: dict[str, Any] = json.loads(lines[-1])
    return measured
