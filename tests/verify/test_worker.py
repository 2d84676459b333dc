"""A worker of Verify starts quickly: it imports nothing that it does not need to open pictures."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.paths import ROOT

LOADED = "import json, sys, pipeline.verify.worker, pipeline.images.sandbox; print(json.dumps(sorted(sys.modules)))"


def test_a_worker_imports_neither_tables_nor_networks_nor_a_database() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(json.loads(done.stdout))
    assert {"pipeline.verify.worker", "numpy", "simplejpeg"} <= loaded
    assert not loaded & {"pandas", "torch", "sqlite3", "gradio", "pipeline.workspace.store"}
