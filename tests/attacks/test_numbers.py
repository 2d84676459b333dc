"""No option of the command line, no field of the page and no configuration takes a number nobody can count with."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
from collections.abc import Iterator
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import cli
from cleaner.clean.decisions import undo
from pipeline.ask.many import PredictConfig
from pipeline.collect.download import DownloadConfig
from pipeline.collect.importing import ImportConfig
from pipeline.dataset.export import DatasetConfig
from pipeline.deploy.export import ExportConfig
from pipeline.deploy.hub import DeployConfig
from pipeline.deploy.serve import ServeConfig
from pipeline.deploy.trial import TrialConfig
from pipeline.errors import PipelineError, UsageError
from pipeline.search.search import SearchConfig
from pipeline.settings import settings_of
from pipeline.tabs.train.fields import config_from
from pipeline.terminal.arguments import Command, parser
from pipeline.train.config import LrFindConfig, TrainConfig
from pipeline.verify.split import SplitConfig, assign_splits
from pipeline.verify.verify import VerifyConfig
from pipeline.workspace.limits import PREFIX, Limits
from pipeline.workspace.workspace import Workspace

NO_NUMBERS = ("nan", "-inf", "Infinity", "1e999", "1e20.5", "", "²", "9" * 5000)
NEEDED: dict[Any, dict[str, Any]] = {
    ImportConfig: {"source": "x"},
    SearchConfig: {"classes": (("bear", "bear"),)},
    ExportConfig: {"run": "", "out": "x"},
    DeployConfig: {"folder": "x", "repo_id": "a/b"},
    ServeConfig: {"model": "x"},
    TrialConfig: {"folder": "x"},
    PredictConfig: {"files": ("x",)},
    DatasetConfig: {"out": "x"},
    **{kind: {} for kind in (DownloadConfig, TrainConfig, LrFindConfig, VerifyConfig, SplitConfig)},
}


@cache
def commands() -> dict[str, Command]:
    whole = parser()
    found = next(action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    return {name: command.filled() for name, command in found.choices.items()}


def is_number(action: argparse.Action) -> bool:
    try:
        return isinstance(action.type("4"), (int, float))  # type: ignore[operator]
    except (TypeError, ValueError, argparse.ArgumentTypeError):
        return False


def number_options() -> list[tuple[str, str]]:
    return [
        (name, action.option_strings[-1])
        for name, command in commands().items()
        for action in command._actions
        if action.option_strings and (is_number(action) or (action.type in (int, float)))
    ]


def places(command: Command) -> Iterator[str]:
    for action in command._actions:
        if not action.option_strings and action.nargs not in ("?", "*"):
            yield "nowhere"
        elif action.required:
            yield from (action.option_strings[-1], "x")


def test_all_options_that_take_a_number_are_found() -> None:
    found = number_options()
    assert {("verify", "--valid"), ("undo", "--count"), ("train", "--sizes"), ("check", "--max-megapixels")} < {*found}
    assert len(found) > 40


@pytest.mark.parametrize(("command", "flag"), number_options())
def test_no_option_takes_what_is_no_number(command: str, flag: str, tmp_path: Path) -> None:
    """Said by the option's name, as wrong usage, before anything is touched."""
    with contextlib.chdir(tmp_path):
        for text in NO_NUMBERS:
            said = io.StringIO()
            with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as ended:
                cli.main([command, *places(commands()[command]), f"{flag}={text}"])
            assert ended.value.code == 2 and flag in said.getvalue(), text
    assert list(tmp_path.iterdir()) == []


def number_fields() -> list[tuple[type, str]]:
    wanted = []
    for kind in NEEDED:
        hints = get_type_hints(kind)
        for field in fields(kind):
            kinds = {hints[field.name], *get_args(hints[field.name])}
            if field.name in settings_of(kind) and kinds & {int, float} and field.default is not MISSING:
                wanted.append((kind, field.name))
    return wanted


@pytest.mark.parametrize(("kind", "name"), number_fields())
def test_no_configuration_takes_what_is_no_number(kind: type, name: str) -> None:
    several = isinstance(next(field.default for field in fields(kind) if field.name == name), tuple)
    odd: tuple[Any, ...] = (math.nan, math.inf, -math.inf, 10**400, -(10**400), "4", True, [4], {}, b"4", 1j)
    for value in odd:
        with pytest.raises(UsageError):
            kind(**{**NEEDED[kind], name: (value,) if several and not isinstance(value, list) else value})


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, "4", True, [4], {"a": 1}])
def test_no_field_of_the_train_tab_takes_what_is_no_number(value: Any) -> None:
    """What a page posts is what somebody wrote."""
    for name in ("epochs", "base_lr", "minutes", "batch_size", "mixup", "max_rotate", "seed"):
        with pytest.raises(UsageError):
            config_from({name: value})


def test_text_and_choices_are_text() -> None:
    for name in ("backbone", "weights", "note", "layers", "flip"):
        for value in (4, math.nan, ["fast"], {"a": 1}, None):
            with pytest.raises(UsageError):
                config_from({name: value})


def test_a_workspace_whose_splits_were_drawn_by_no_number_draws_them_by_what_is_said_now(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "ws")
    workspace.store.set_fact("split", json.loads('{"valid": NaN, "test": 0.15, "seed": 0}'))
    assert assign_splits(workspace, SplitConfig(0.5, 0.0)) == {}


@pytest.mark.parametrize("count", [math.nan, math.inf, 10**400, 0, -1, 1.5, "4", None, True])
def test_nothing_is_undone_so_many_times_that_are_no_number(count: Any, workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="1 or more"):
        undo(workspace, count)


def test_no_limit_of_a_demo_is_no_number() -> None:
    for text in ("²", "nan", "1e9", "9" * 5000, "-1", "0", "1.5", "१²"):
        with pytest.raises(PipelineError):
            Limits.from_environment({f"{PREFIX}IMAGES": text})
