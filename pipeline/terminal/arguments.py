"""The command line's arguments: every command with its options, as ``cli.py`` reads them.

What a setting of a stage means is told beside its field; what is told here is no setting.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from pipeline.safe_text import visible
from pipeline.settings import KEY, NOTHING, Setting, is_countable, option, shown

Number = TypeVar("Number", int, float)
LARGEST_PORT = 65_535
RUN = "the run: its id, or how it begins (newest if left out)"
# The settings of a range test on the command line; the others of the training that it is for stay as they are.
IN_A_RANGE_TEST = (
    *("backbone", "weights", "image_size", "image_width", "resize", "padding", "presize", "batch_size"),
    *("augmentation", "seed", "device", "steps", "low", "high"),
)


class Parser(argparse.ArgumentParser):
    """Takes ``--`` as the value of an option (``--label=--``), over which argparse stumbles."""

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        if action.option_strings and action.nargs is None and arg_strings == ["--"]:
            value = self._get_value(action, "--")
            self._check_value(action, value)
            return value
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        """As argparse does, without commands to the terminal."""
        super().error(visible(message))


class Command(Parser):
    """One command. Its arguments are added once it is asked for, so that no stage is loaded for another's sake."""

    def __init__(self, fill: Fill, workspace: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.add_argument("--json", action="store_true", help="print one JSON document on stdout")
        if workspace:
            self.add_argument("workspace", metavar="WORKSPACE", help="the workspace's folder")
        self._fill: Fill | None = fill

    def filled(self) -> Command:
        """The command, with its arguments."""
        fill, self._fill = self._fill, None
        if fill:
            fill(self)
        return self

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, with its arguments."""
        self.filled()
        return super().parse_known_args(args, namespace)


Fill: TypeAlias = Callable[[Command], None]


def parser() -> argparse.ArgumentParser:
    """Everything ``cli.py`` understands; ``command`` is the name of the chosen one."""
    whole = Parser(prog="cli.py", description="Winnow on the command line.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Command)
    for name, (about, fill) in COMMANDS.items():
        workspace = name not in WITHOUT_WORKSPACE
        commands.add_parser(name, help=about, description=about, fill=fill, workspace=workspace)
    return whole


# --- the settings of a configuration -------------------------------------------------------------------------------


def _settings(place: str, only: Collection[str] = ()) -> Fill:
    """What adds the settings of the configuration at ``module:class`` (``only`` some of them) to a command, each under
    the name of its field; None is one that is not given.
    """

    def fill(command: Command) -> None:
        module, _, name = place.partition(":")
        kind = getattr(importlib.import_module(module), name)
        hints = get_type_hints(kind)
        for field in fields(kind):
            told: Setting | None = field.metadata.get(KEY)
            if told and told.flag is not None and (field.name in only or not only):
                _add(command, told, field, hints[field.name])

    return fill


def _add(command: Command, told: Setting, field: Field[Any], hint: Any) -> None:
    how = _how(told, field.default, hint)
    how["help"] = _in_full(told, field, how.get("action") == "append")
    if told.flag and not told.flag.startswith("-"):
        command.add_argument(field.name, **{**how, "metavar": told.flag})
    else:
        how |= {"required": True} if field.default is MISSING else {}
        command.add_argument(told.flag or option(field.name), dest=field.name, **how)


def _how(told: Setting, default: Any, hint: Any) -> dict[str, Any]:
    """How argparse reads a setting whose field is annotated with ``hint``."""
    kind, *_ = [one for one in get_args(hint) if one is not NoneType] or [hint]
    if kind is bool and not default:
        return {"action": "store_true", "default": None}
    if kind is bool:
        return {"action": "store_false" if told.flag else argparse.BooleanOptionalAction, "default": None}
    if told.const is not None:
        return {"action": "store_const", "const": told.const}
    how: dict[str, Any] = {"metavar": told.metavar} if told.metavar else {}
    if get_origin(hint) is tuple:
        how |= {"nargs": "+"} if kind is int else {"action": "append"}
    if told.choices:
        how["choices"] = [choice for choice in told.choices if choice not in NOTHING]
    kind = NUMBERS.get(kind, kind)
    return {**how, "type": told.parse or kind} if told.parse or kind is not str else how


def whole_number(text: str) -> int:
    """The whole number that a word of the command line is. Raises ArgumentTypeError for any other word."""
    return _number(int, text, "a whole number")


def real_number(text: str) -> float:
    """The number that a word of the command line is. Raises ArgumentTypeError for any other, NaN and infinity too."""
    return _number(float, text, "a number")


def one_or_more(text: str) -> int:
    """The whole number, 1 or more, that a word of the command line is. Raises ArgumentTypeError for any other word."""
    number = whole_number(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it is 1 or more")
    return number


def port_number(text: str) -> int:
    """The port that a word of the command line is. Raises ArgumentTypeError for any other word."""
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= LARGEST_PORT):
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to {LARGEST_PORT}, not {text[:40]!r}")
    return int(text)


def _number(kind: Callable[[str], Number], text: str, what: str) -> Number:
    try:
        number = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not {what}") from None
    if not is_countable(number):
        raise argparse.ArgumentTypeError("nobody can count with that number")
    return number


NUMBERS: Mapping[Any, Callable[[str], Any]] = {int: whole_number, float: real_number}


def _in_full(told: Setting, field: Field[Any], repeatable: bool) -> str:
    """What a setting is called and means, its choices, what some values stand for, and the default."""
    words, default = f"{told.label}: {told.help}" if told.label else told.help, field.default
    if told.choices:
        choices = [(choice, meaning) for choice, meaning in told.choices.items() if choice not in NOTHING]
        words += "; " + ", ".join(f"{choice} ({meaning})" if meaning else choice for choice, meaning in choices)
    brackets = ["repeatable"] if repeatable else []
    brackets += [
        f"{shown(value)}: {meaning}" for value, meaning in told.means.items() if value not in (*NOTHING, default)
    ]
    if default is not MISSING and not isinstance(default, bool) and told.const is None:
        named = [shown(default)] if default not in NOTHING else []
        named += [told.means[default]] if default in told.means else []
        brackets += [f"default: {', '.join(named)}"] if named else []
    return (words + (f" ({'; '.join(brackets)})" if brackets else "")).replace("%", "%%")


# --- the commands ---------------------------------------------------------------------------------------------------


def _check(command: Command) -> None:
    command.add_argument("paths", nargs="+", metavar="PATH", help="files or folders")
    limit = "pictures of more are refused (JPEG, which can be read smaller, above 250; 0: 50)"
    command.add_argument("--max-megapixels", type=whole_number, default=0, metavar="N", help=limit)


def _images(command: Command) -> None:
    statuses = ("new", "ok", "set_aside", "removed")
    command.add_argument("--status", choices=statuses, help=f"only these; {', '.join(statuses)}")


def _backbones(command: Command) -> None:
    command.add_argument("filter", nargs="?", default="", metavar="FILTER", help="a part of the name")


def _review(command: Command) -> None:
    command.add_argument("--run", help=RUN)
    splits = ("train", "valid", "test")
    about = f"judged on; {', '.join(splits)} (default: %(default)s)"
    command.add_argument("--split", choices=splits, default="valid", help=about)
    command.add_argument("--count", type=one_or_more, default=50, help="top losses (default: %(default)s)")


def _suspects(command: Command) -> None:
    command.add_argument("--run", help=RUN)
    about = "the locked test split instead, which is logged and said ever after"
    command.add_argument("--audit-test", action="store_true", help=about)


def _decide(command: Command) -> None:
    command.add_argument("--id", required=True, help="the image: its id, or how it begins")
    choice = command.add_mutually_exclusive_group(required=True)
    for action in ("keep", "remove", "restore"):
        choice.add_argument(f"--{action}", dest="action", action="store_const", const=action, help=f"{action} it")
    choice.add_argument("--relabel", metavar="L", help="give it this label")
    about = "it and the others of its duplicate group are not the same picture: the group is dissolved for good"
    choice.add_argument("--not-same", dest="action", action="store_const", const="not_same", help=about)


def _undo(command: Command) -> None:
    one_go = "how many single decisions (default: the last one, with all that was decided in one go with it)"
    command.add_argument("--count", type=one_or_more, help=one_go)


def _redo(command: Command) -> None:
    one_go = (
        "how many single decisions (default: what was taken back last, with all that was decided in one go with it)"
    )
    command.add_argument("--count", type=one_or_more, help=one_go)


def _decisions(command: Command) -> None:
    command.add_argument("--out", type=Path, metavar="FILE.csv", help="write it as a CSV file for 'replay'")


def _replay(command: Command) -> None:
    command.add_argument("file", type=Path, metavar="FILE.csv", help="what 'decisions --out' wrote")


def _rename(command: Command) -> None:
    command.add_argument("old", metavar="OLD", help="the class")
    command.add_argument("new", metavar="NEW", help="its new name")


def _changes(command: Command) -> None:
    command.add_argument("--out", type=Path, metavar="FILE.csv", help="write it as a CSV file, for a person")


def _apply(command: Command) -> None:
    _settings("pipeline.dataset.apply:ApplyConfig")(command)
    about = "copies, which may be changed without changing yours (the default)"
    command.add_argument("--copies", dest="links", action="store_false", default=None, help=about)


def _compare(command: Command) -> None:
    command.add_argument("run_a", metavar="RUN_A", help="the run before: its id, or how it begins")
    command.add_argument("run_b", metavar="RUN_B", help="the run after")
    about = "on train and valid images too, as heads answered them that did not learn from them"
    command.add_argument("--every", action="store_true", help=about)


def _predict(command: Command) -> None:
    command.add_argument("model", metavar="MODEL", help="an exported folder, or a run's folder")
    command.add_argument("images", nargs="+", metavar="IMAGE", help="picture files, or folders of them")
    _settings("pipeline.ask.many:PredictConfig")(command)
    about = "write a table instead: a row a picture, a column a class"
    command.add_argument("--out", metavar="FILE.csv", help=about)
    about = "a competition's sample submission: --out gets its rows and columns, filled in"
    command.add_argument("--sample", metavar="SAMPLE.csv", help=about)
    about = "with a --sample of one column beside the ids: the class whose probability is wanted there"
    command.add_argument("--positive", metavar="CLASS", default="", help=about)


def _sheets(command: Command) -> None:
    about = "pictures on a sheet, at most (default: %(default)s)"
    command.add_argument("--size", type=one_or_more, default=20, metavar="N", help=about)


def _label(command: Command) -> None:
    command.add_argument("--sheet", metavar="ID", help="the sheet that is named")
    command.add_argument("--as", dest="label", metavar="L", help="what its pictures show; a new name makes a new class")
    about = "a picture of it that shows something else (repeatable)"
    command.add_argument("--but", nargs="+", action="extend", default=[], metavar="ID", help=about)
    about = "take the model's word for as many others as this share of them is wrong at most, like 0.01"
    command.add_argument("--accept-rest", type=real_number, metavar="SHARE", help=about)
    _sheets(command)


def _scenes(command: Command) -> None:
    from pipeline.verify.scenes import CHOICES

    about = f"how scenes are known from now on: {', '.join(CHOICES)}; splits that were given never move"
    command.add_argument("--by", choices=CHOICES, help=about)


def _cancel(command: Command) -> None:
    command.add_argument("job", metavar="JOB", help="the job's id, or how it begins")


def _nothing(_: Command) -> None:
    """The workspace is all it takes."""


WITHOUT_WORKSPACE = ("check", "backbones", "predict", "serve", "test-space", "deploy", "send-dataset")
COMMANDS: Mapping[str, tuple[str, Fill]] = {
    "import": ("copy pictures into the workspace", _settings("pipeline.collect.importing:ImportConfig")),
    "search": ("find candidates on the web; nothing is fetched yet", _settings("pipeline.search.search:SearchConfig")),
    "download": ("fetch the candidates, or the URLs of a file", _settings("pipeline.collect.download:DownloadConfig")),
    "check": ("the verdict on files, without a workspace", _check),
    "verify": (
        "check every picture, set aside the broken, find duplicates, give splits",
        _settings("pipeline.verify.verify:VerifyConfig"),
    ),
    "scenes": ("what was taken together and stays in one split; --by chooses how that is known", _scenes),
    "sheets": ("the next sheet of alike pictures without a label", _sheets),
    "label": ("name the pictures of a sheet, or take the model's word for the rest; then the next sheet", _label),
    "images": ("the store's rows", _images),
    "backbones": ("the networks that can be trained", _backbones),
    "lr-find": ("the learning-rate range test", _settings("pipeline.train.config:LrFindConfig", IN_A_RANGE_TEST)),
    "train": ("fine-tune a backbone; the result is a run", _settings("pipeline.train.config:TrainConfig")),
    "review": ("what a run gets wrong", _review),
    "suspects": ("the cleaning queue", _suspects),
    "decide": ("keep, remove, restore or relabel one image, or dissolve its duplicate group", _decide),
    "undo": ("take back the last decisions", _undo),
    "redo": ("redo what was taken back, while nothing new was decided since", _redo),
    "decisions": ("the journal", _decisions),
    "replay": ("make somebody else's decisions here, on the same pictures", _replay),
    "rename": ("call a class by another name; it is merged where that name exists", _rename),
    "compare": ("two runs on the same images, paired", _compare),
    "ledger": (
        "every run: its data, the decisions until then, its test error then and by the labels of today",
        _nothing,
    ),
    "predict": ("what a model says about pictures", _predict),
    "export": ("a run as a model folder or a Space folder, checked", _settings("pipeline.deploy.export:ExportConfig")),
    "test-space": (
        "a Space folder in a fresh environment, or online: same answers?",
        _settings("pipeline.deploy.trial:TrialConfig"),
    ),
    "deploy": ("a Space folder to Hugging Face; the token is HF_TOKEN", _settings("pipeline.deploy.hub:DeployConfig")),
    "card": ("data_card.md and attributions.csv: where the pictures come from, and claimed licences", _nothing),
    "dataset": (
        "the pictures and labels as a folder for others, with the card",
        _settings("pipeline.dataset.export:DatasetConfig"),
    ),
    "send-dataset": (
        "an exported data set to Hugging Face, for you alone unless --public; the token is HF_TOKEN",
        _settings("pipeline.deploy.hub_dataset:SendConfig"),
    ),
    "changes": ("every file that is not as it was imported: label before and now, removed, set aside, twice", _changes),
    "apply": ("your own folder once more beside it, as it was decided; yours is only read", _apply),
    "jobs": ("what is running", _nothing),
    "cancel": ("ask a job to stop", _cancel),
    "serve": ("the prediction app of a model alone, in the browser", _settings("pipeline.deploy.serve:ServeConfig")),
}
