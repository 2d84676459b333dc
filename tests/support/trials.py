"""A test of a Space that has ended well, as a job leaves it behind."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.deploy.space import read_space
from pipeline.deploy.trial import fingerprint
from pipeline.workspace.database import now
from pipeline.workspace.workspace import Workspace


def as_tested(workspace: Workspace, folder: Path, url: str = "") -> None:
    """Write down that the Space in ``folder``, as it is now, was tested and answered well."""
    job = workspace.jobs / f"20260101-000000-try_space-{len(list(workspace.jobs.glob('*'))):06}"
    job.mkdir(parents=True)
    config = {"folder": str(folder), "url": url, "python": ""}
    described = {"stage": "try_space", "config": config, "workspace": str(workspace.root)}
    (job / "job.json").write_text(json.dumps({**described, "grace_seconds": 5, "at": now()}), encoding="utf-8")
    agreed = {"images": 7, "max_difference": 1e-7, "worst": "", "same_top": True}
    result = {
        "agreed": agreed,
        "where": url or "here",
        "fingerprint": fingerprint(read_space(folder)),
        "first_answer_seconds": 4.2,
        "memory_mib": 233,
    }
    event = {"kind": "done", "at": now(), "result": result}
    (job / "events.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")
