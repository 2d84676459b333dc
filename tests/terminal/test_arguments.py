"""The command line's arguments are made from the settings beside the fields; a command loads its own stage alone."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields

import pytest

import cli
from pipeline.collect.download import DownloadConfig
from pipeline.collect.importing import ImportConfig
from pipeline.deploy.serve import ServeConfig
from pipeline.search.search import SearchConfig
from pipeline.settings import settings_of
from pipeline.terminal.arguments import COMMANDS, parser
from pipeline.train.config import LrFindConfig, TrainConfig
from pipeline.verify.verify import VerifyConfig
from tests.support.paths import ROOT


def read(kind: type, *words: str) -> object:
    return cli._config(kind, parser().parse_args(words))


def test_what_is_not_given_is_at_the_default_of_its_field() -> None:
    assert read(TrainConfig, "train", "ws") == TrainConfig()
    assert read(LrFindConfig, "lr-find", "ws") == LrFindConfig()
    assert read(VerifyConfig, "verify", "ws") == VerifyConfig()
    assert read(DownloadConfig, "download", "ws") == DownloadConfig()
    assert read(ServeConfig, "serve", "model") == ServeConfig("model")
    assert read(SearchConfig, "search", "ws", "--class", "bear") == SearchConfig((("bear", "bear"),))


def test_what_is_given_is_read_as_its_field_needs_it() -> None:
    assert read(TrainConfig, "train", "ws", "--sizes", "64", "96", "--base-lr", "1e-3") == TrainConfig(
        sizes=(64, 96), base_lr=1e-3
    )
    hosts = ("--allow-host", "a:1", "--allow-host", "b:2")
    assert read(DownloadConfig, "download", "ws", "--ignore-noai", *hosts) == DownloadConfig(
        honour_noai=False, allow_hosts=("a:1", "b:2")
    )
    asked = ("--class", "bear=grizzly bear", "--provider", "openverse", "--fresh", "--no-safesearch", "--max", "7")
    assert read(SearchConfig, "search", "ws", *asked) == SearchConfig(
        (("bear", "grizzly bear"),), 7, ("openverse",), safesearch=False, keep_hours=0.0
    )
    found = read(ImportConfig, "import", "ws", "folder", "--split-from", "folders", "--label", "x")
    assert found == ImportConfig("folder", label="x", split_from="folders")


def test_every_setting_of_training_is_an_argument_with_its_term_its_words_and_its_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["train", "--help"])
    page = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert set(settings_of(TrainConfig)) == {field.name for field in fields(TrainConfig)}
    for name, told in settings_of(TrainConfig).items():
        assert f"--{name.replace('_', '-')} " in page and f"{told.label}: " in page
    assert "Learning rate: the highest one, that of the head (default: 3e-05)" in page
    assert "(0: the head alone; default: 3)" in page and "(default: 0, the backbone's own)" in page
    assert "None" not in page and "()" not in page


def test_an_unknown_choice_and_a_missing_class_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["train", "ws", "--resize", "stretch"], ["search", "ws"], ["export", "ws", "run"]):
        with pytest.raises(SystemExit) as stopped:
            parser().parse_args(words)
        assert stopped.value.code == 2
    assert "invalid choice: 'stretch'" in (said := capsys.readouterr().err) and "--class" in said and "OUT" in said


def test_the_commands_are_listed_and_training_explained_without_loading_torch() -> None:
    assert set(COMMANDS) == set(cli.COMMANDS)
    script = (
        "import sys, contextlib; from pipeline.terminal.arguments import parser\n"
        "for words in (['--help'], ['train', '--help'], ['lr-find', '--help']):\n"
        "    with contextlib.suppress(SystemExit): parser().parse_args(words)\n"
        "print(sorted({'torch', 'pandas', 'gradio'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stderr.strip() == "[]" and "lr-find" in done.stdout
