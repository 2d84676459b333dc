"""A reading that waits for a person's yes: answered, read otherwise, taken, or turned down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.collect.importing import ImportConfig
from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.stages import StageName, find
from pipeline.workspace.workspace import Workspace

DISMISSED = "reading_dismissed"
COLUMNS = ("file_column", "label_column", "split_column", "group_column")


@dataclass(frozen=True)
class Proposal:
    """The newest reading of a workspace: the job that read, what it was ``told``, and ``read``, what an
    :class:`Imported` holds, as JSON. Nothing of it is stored yet; or all of it is (``stored``), and pictures that were
    here before keep a label that differs from what was read.
    """

    job: str
    told: ImportConfig
    read: Mapping[str, Any]
    stored: bool = False

    def taken(self, answers: Sequence[int] = ()) -> ImportConfig:
        """What imports it as it was read, with an answer (which of its choices) to each of its questions; where it is
        stored, what takes its labels.
        """
        if self.stored:
            return replace(self.told, relabel=True)
        return replace(self._answered(answers), dry_run=False, samples=False)

    def again(
        self, answers: Sequence[int] = (), other: int | None = None, columns: Mapping[str, str] | None = None
    ) -> ImportConfig:
        """What reads the source once more: in the ``other`` way that it could be read, or with these ``columns`` (a
        field of ImportConfig -> column, empty for what nobody says). Raises UsageError for what was not offered.
        """
        told = self._answered(answers)
        if other is not None:
            told = told.answered(_chosen(self.read.get("others", ()), other)["told"])
        if columns:
            chosen: dict[str, Any] = {name: columns[name] or None for name in COLUMNS if name in columns}
            told = replace(told, **chosen)
        return replace(told, dry_run=True, samples=True)

    def _answered(self, answers: Sequence[int]) -> ImportConfig:
        told = self.told
        for question, answer in zip(self.read.get("questions", ()), answers, strict=False):
            told = told.answered(_chosen(question["choices"], answer)["told"])
        return told


def proposal(workspace: Workspace) -> Proposal | None:
    """The reading that waits for a yes in a workspace: that of its newest import, if that ended well, was not turned
    down, and only read, or found labels that differ.
    """
    newest = next((job for job in jobs.list_jobs(workspace) if job.stage == StageName.IMPORT), None)
    if newest is None or newest.status != "done" or workspace.store.fact(DISMISSED) == newest.id:
        return None
    read = newest.result or {}
    stored = not newest.config.get("dry_run")
    if stored and (not read.get("labels_differ") or newest.config.get("relabel")):
        return None
    _, told = find(newest.stage, newest.config)
    return Proposal(newest.id, told, read, stored)


def turn_down(workspace: Workspace, job: str) -> None:
    """Nothing of this reading is wanted."""
    workspace.store.set_fact(DISMISSED, job)


def _chosen(choices: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
    if not 0 <= number < len(choices):
        raise UsageError("That was not one of the choices. Load the page again.")
    return choices[number]
