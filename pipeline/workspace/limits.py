"""What a visitor of a public demo may do at most; a file beside the visitor's workspaces says so to every process."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.errors import LimitReached, UsageError
from pipeline.workspace.workspace import Workspace, writing

PREFIX = "WINNOW_DEMO_"
CEILINGS = ("epochs", "image_size", "image_width", "presize", "batch_size", "steps")
MEGABYTE = 1 << 20
SENT = "sent"


@dataclass(frozen=True)
class Limits:
    """What each visitor may do at most; every number is 1 or more.

    ``images`` in a workspace, ``workspaces``, ``megabytes`` on the disk in all, ``upload_megabytes`` a file sent,
    ``jobs`` at work or waiting at once, ``job_minutes`` a job (waiting for its turn does not count). Of a training:
    ``epochs``, ``pixels`` (image size), ``batch_size``. ``idle_minutes`` without doing anything, or ``away_minutes``
    after the last page was closed, all of it is cleared away. ``visitors`` at once, ``per_address`` of them from one
    address.
    """

    images: int = 1_500
    workspaces: int = 3
    megabytes: int = 800
    upload_megabytes: int = 100
    jobs: int = 2
    job_minutes: int = 10
    epochs: int = 5
    pixels: int = 288
    batch_size: int = 64
    idle_minutes: int = 60
    away_minutes: int = 10
    visitors: int = 20
    per_address: int = 10

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise UsageError(f"{PREFIX}{name.upper()} is 1 or more.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Limits:
        """The defaults, but for what variables like ``WINNOW_DEMO_IMAGES`` say. Raises UsageError."""
        given = {}
        for name in (field.name for field in fields(cls)):
            text = environment.get(PREFIX + name.upper())
            if text and not re.fullmatch(r"[0-9]{1,15}", text.strip()):
                raise UsageError(f"{PREFIX}{name.upper()} is a whole number, not '{text[:40]}'.")
            if text:
                given[name] = int(text)
        return cls(**given)

    @classmethod
    def of(cls, workspace: Workspace) -> Limits | None:
        """The limits of a workspace; None where there are none."""
        try:
            told = json.loads(workspace.limits.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(**told)

    @property
    def of_one_address(self) -> int:
        """How many visitors may come from one address: never all there are."""
        return min(self.per_address, max(self.visitors - 1, 1))

    def write(self, home: Path) -> None:
        """Put every workspace in the folder ``home`` under these limits."""
        file = Workspace(home / "any").limits
        with writing(file, durable=False) as part:
            part.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def check(self, config: Mapping[str, Any], bundled: Collection[str]) -> None:
        """Raises LimitReached where a configuration (its fields by name) asks for too much, or for a backbone that is
        none of the ``bundled`` ones.
        """
        backbone = config.get("backbone")
        if backbone is not None and backbone not in bundled:
            raise LimitReached(f"{backbone}: this public demo trains only what came with Winnow: {', '.join(bundled)}.")
        highest = {"epochs": self.epochs, "batch_size": self.batch_size, "steps": 200}
        for name in CEILINGS:
            most, value = highest.get(name, self.pixels), config.get(name)
            if isinstance(value, (int, float)) and value > most:
                raise LimitReached(f"{name.replace('_', ' ').capitalize()}: this public demo allows at most {most:,}.")
        if any(size > self.pixels for size in config.get("sizes") or ()):
            raise LimitReached(f"Sizes: this public demo allows at most {self.pixels} pixels.")

    def check_disk(self, workspace: Workspace) -> None:
        """Raises LimitReached where the visitor's workspaces take too much of the disk."""
        used = used_by(workspace.root.parent) / MEGABYTE
        if used > self.megabytes:
            raise LimitReached(
                f"What you have here takes {used:,.0f} MB, and this public demo keeps at most {self.megabytes:,} MB "
                "for each visitor. Start over with the button at the top, or run Winnow on a machine of your own."
            )

    def check_time(self, seconds: float) -> None:
        """Raises LimitReached where a job has worked for too long."""
        if seconds > 60 * self.job_minutes:
            raise LimitReached(
                f"Stopped: this public demo gives a job {self.job_minutes} min. What was finished is kept."
            )

    def room(self, workspace: Workspace) -> int:
        """How many more images a workspace may take."""
        return max(self.images - len(workspace.store.images()), 0)


def room_for_images(workspace: Workspace) -> int | None:
    """How many more images a workspace may take; None where nothing limits them."""
    limits = Limits.of(workspace)
    return limits.room(workspace) if limits else None


def check_config(workspace: Workspace, config: Mapping[str, Any], bundled: Collection[str]) -> None:
    """Raises LimitReached where a configuration (its fields by name) asks for more than the workspace's limits, or for
    a backbone that is none of the ``bundled`` ones.
    """
    if limits := Limits.of(workspace):
        limits.check(config, bundled)


def check_images(workspace: Workspace, number: int) -> None:
    """Raises LimitReached where a workspace may not take ``number`` more images."""
    limits = Limits.of(workspace)
    if limits and number > (room := limits.room(workspace)):
        raise LimitReached(
            f"These are {number:,} pictures. This public demo keeps at most {limits.images:,} in a workspace, and "
            f"there is room for {room:,} more. Take fewer, make a new workspace, or run Winnow on your own machine."
        )


def used_by(home: Path) -> int:
    """How many bytes a visitor has: below their folder, and what they sent, which lies where its link leads."""
    return disk_use(home) + disk_use((home / SENT).resolve())


def disk_use(folder: Path) -> int:
    """How many bytes the files in a folder take; one that has several names counts once."""
    seen: dict[int, int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.lstat(Path(place) / name)
            except FileNotFoundError:  # it was finished, or cleared away
                continue
            seen[stat.st_ino] = stat.st_blocks * 512 if hasattr(stat, "st_blocks") else stat.st_size
    return sum(seen.values())
