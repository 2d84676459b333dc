"""The log of audits: when somebody looked through the locked test split for wrong labels, and with which run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from pipeline.workspace.database import now
from pipeline.workspace.workspace import Workspace

FACT = "test_audits"


@dataclass(frozen=True)
class Audit:
    """One audit: ``at`` (UTC, ISO 8601), and the id of the run whose answers were shown beside the labels."""

    at: str
    run: str


def log_audit(workspace: Workspace, run_id: str) -> Audit:
    """Note that the test split is being audited with the help of this run; it is never forgotten."""
    audit = Audit(now(), run_id)
    workspace.store.add_to_fact(FACT, asdict(audit))
    return audit


def audits(workspace: Workspace) -> list[Audit]:
    """Every audit so far, oldest first."""
    return [Audit(str(entry["at"]), str(entry["run"])) for entry in workspace.store.fact(FACT, [])]


def in_words(log: Sequence[Audit]) -> str:
    """What a reader of test errors has to know of these audits, in plain sentences; empty where there was none."""
    if not log:
        return ""
    days = sorted({datetime.fromisoformat(audit.at).date().isoformat() for audit in log})
    runs = list(dict.fromkeys(audit.run for audit in log))
    when = f"on {days[0]}" if len(days) == 1 else f"{len(log)} times from {days[0]} to {days[-1]}"
    whose = f"run {runs[0]}" if len(runs) == 1 else f"the runs {', '.join(runs[:-1])} and {runs[-1]}"
    return (
        f"The test split was audited {when}, with the answers of {whose} beside its labels: labels that were mended "
        f"then may lean towards {'that run' if len(runs) == 1 else 'those runs'}."
    )
