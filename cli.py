"""The terminal's door: one subcommand per stage, the same stages as in the browser, printed; no logic.

    python cli.py COMMAND WORKSPACE ... [--json]

With --json, progress goes to stderr and one JSON document to stdout. Exit codes: 0 done, 1 the step failed (one line
says why), 2 wrong usage, 130 cancelled.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from pipeline.errors import Cancelled, PipelineError, UsageError
from pipeline.terminal import print_result, run_and_show
from pipeline.workspace import Workspace

Command = Callable[[argparse.Namespace], Any]
HELP = argparse.ArgumentDefaultsHelpFormatter


# --- the commands: arguments -> stage -> what is printed -----------------------------------------------------------


def _import(args: argparse.Namespace) -> Any:
    from pipeline.importing import ImportConfig, import_images

    config = ImportConfig(args.source, args.label, args.split_from, tuple(args.allow_host))
    return run_and_show(import_images(Workspace.create(args.workspace), config))


def _search(args: argparse.Namespace) -> Any:
    from pipeline.search import SearchConfig, search

    classes = tuple((name, query or name) for name, _, query in (text.partition("=") for text in args.classes))
    return run_and_show(search(Workspace.create(args.workspace), SearchConfig(classes, args.max, args.provider)))


def _download(args: argparse.Namespace) -> Any:
    from pipeline.download import DownloadConfig, download

    config = DownloadConfig(urls=args.urls, allow_hosts=tuple(args.allow_host))
    return run_and_show(download(Workspace.create(args.workspace), config))


def _check(args: argparse.Namespace) -> Any:
    from pipeline.verify import check_files

    found = run_and_show(check_files(args.paths))
    return {"files": [{"path": path, **dataclasses.asdict(checked)} for path, checked in found]}


def _verify(args: argparse.Namespace) -> Any:
    from pipeline.verify import VerifyConfig, verify

    config = VerifyConfig(valid=args.valid, test=args.test, seed=args.seed)
    return run_and_show(verify(Workspace.open(args.workspace), config))


def _images(args: argparse.Namespace) -> Any:
    from pipeline.importing import image_rows

    return {"images": image_rows(Workspace.open(args.workspace), args.status)}


def _backbones(args: argparse.Namespace) -> Any:
    from pipeline.backbones import list_backbones

    found = list_backbones(args.filter)
    return {"backbones": [{**dataclasses.asdict(backbone), "offline": backbone.offline} for backbone in found]}


def _lr_find(args: argparse.Namespace) -> Any:
    from pipeline.lr_finder import LrFindConfig, find_lr

    return run_and_show(find_lr(Workspace.open(args.workspace), _config(LrFindConfig, args)))


def _train(args: argparse.Namespace) -> Any:
    from pipeline.runs import Run
    from pipeline.train import TrainConfig, train

    trained: Run = run_and_show(train(Workspace.open(args.workspace), _config(TrainConfig, args)))
    return {"run": trained.id, **{key: value for key, value in trained.record.items() if key != "id"}}


def _review(args: argparse.Namespace) -> Any:
    from cleaner.review import review
    from pipeline.runs import load_run

    workspace = Workspace.open(args.workspace)
    return review(workspace, load_run(workspace, args.run), args.split, args.count)


def _suspects(args: argparse.Namespace) -> Any:
    from cleaner.suspects import suspects
    from pipeline.runs import load_run

    workspace = Workspace.open(args.workspace)
    queue = suspects(workspace, load_run(workspace, args.run))
    return {"suspects": queue.to_dict("records")}


def _decide(args: argparse.Namespace) -> Any:
    from cleaner import decisions

    workspace = Workspace.open(args.workspace)
    if args.relabel is not None:
        return {"decisions": [decisions.relabel(workspace, args.id, args.relabel)]}
    decide = {"keep": decisions.keep, "remove": decisions.remove, "restore": decisions.restore}[args.action]
    return {"decisions": [decide(workspace, args.id)]}


def _undo(args: argparse.Namespace) -> Any:
    from cleaner.decisions import undo

    return {"decisions": undo(Workspace.open(args.workspace), args.count)}


def _decisions(args: argparse.Namespace) -> Any:
    from cleaner.decisions import decisions

    return {"decisions": decisions(Workspace.open(args.workspace))}


def _compare(args: argparse.Namespace) -> Any:
    from cleaner.compare import compare
    from pipeline.runs import load_run

    workspace = Workspace.open(args.workspace)
    return compare(workspace, load_run(workspace, args.run_a), load_run(workspace, args.run_b))


def _predict(args: argparse.Namespace) -> Any:
    from pipeline.predict import Classifier, describe

    return {"predictions": list(describe(Classifier.load(args.model), args.images, args.tta))}


def _export(args: argparse.Namespace) -> Any:
    from pipeline.export import ExportConfig, export

    config = ExportConfig(run=args.run, out=args.out, onnx=args.onnx, space=args.space)
    return run_and_show(export(Workspace.open(args.workspace), config))


def _deploy(args: argparse.Namespace) -> Any:
    from pipeline.deploy import DeployConfig, deploy

    config = DeployConfig(args.space_dir, args.repo_id, args.private)
    return run_and_show(deploy(config, os.environ.get("HF_TOKEN")))


def _jobs(args: argparse.Namespace) -> Any:
    from pipeline.jobs import list_jobs

    return {"jobs": list_jobs(Workspace.open(args.workspace))}


def _cancel(args: argparse.Namespace) -> Any:
    from pipeline.jobs import GRACE_SECONDS, cancel, wait_for

    workspace = Workspace.open(args.workspace)
    cancel(workspace, args.job)
    return {"jobs": [wait_for(workspace, args.job, GRACE_SECONDS + 5)]}


# --- the arguments -------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cli.py", description="Winnow on the command line.", formatter_class=HELP)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run_it: Command, about: str, workspace: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about, formatter_class=HELP)
        added.set_defaults(run_it=run_it)
        added.add_argument("--json", action="store_true", help="print one JSON document on stdout")
        if workspace:
            added.add_argument("workspace", metavar="WORKSPACE", help="the workspace's folder")
        return added

    _collect_arguments(command)
    _model_arguments(command)
    _cleaning_arguments(command)
    _shipping_arguments(command)
    return parser


Add = Callable[..., argparse.ArgumentParser]


def _collect_arguments(command: Add) -> None:
    added = command("import", _import, "copy pictures into the workspace")
    added.add_argument("source", metavar="SOURCE", help="folder, .zip, .tar, .csv, 'starter' or 'starter-messy'")
    added.add_argument("--label", help="the class of all of them")
    added.add_argument("--split-from", choices=("folders", "column"), help="where train, valid and test come from")
    _allow_host(added)
    added = command("search", _search, "find candidates on the web; nothing is fetched yet")
    added.add_argument(
        "--class", dest="classes", action="append", required=True, metavar="NAME[=QUERY]", help="a class"
    )
    added.add_argument("--max", type=int, default=100, help="candidates a class")
    added.add_argument("--provider", default="duckduckgo", help="who is asked")
    added = command("download", _download, "fetch the candidates, or the URLs of a file")
    added.add_argument("--urls", metavar="FILE.csv", help="a CSV file with the columns url and label")
    _allow_host(added)
    added = command("check", _check, "the verdict on files, without a workspace", workspace=False)
    added.add_argument("paths", nargs="+", metavar="PATH", help="files or folders")
    added = command("verify", _verify, "check every picture, set aside the broken, find duplicates, give splits")
    added.add_argument("--valid", type=float, default=0.15, help="share of the valid split")
    added.add_argument("--test", type=float, default=0.15, help="share of the test split")
    added.add_argument("--seed", type=int, default=0, help="draws the splits")
    added = command("images", _images, "the store's rows")
    added.add_argument("--status", choices=("new", "ok", "set_aside", "removed"), help="only these")


def _allow_host(added: argparse.ArgumentParser) -> None:
    about = "a server of your own that may be asked although its address is not public (repeatable)"
    added.add_argument("--allow-host", action="append", default=[], metavar="HOST:PORT", help=about)


def _model_arguments(command: Add) -> None:
    added = command("backbones", _backbones, "the networks that can be trained", workspace=False)
    added.add_argument("filter", nargs="?", default="", metavar="FILTER", help="a part of the name")
    added = command("lr-find", _lr_find, "the learning-rate range test")
    _settings(added)
    added.add_argument("--steps", type=int, help="how many rates are tried")
    added.add_argument("--low", type=float, help="the lowest rate")
    added.add_argument("--high", type=float, help="the highest rate")
    added = command("train", _train, "fine-tune a backbone; the result is a run")
    _settings(added)
    added.add_argument("--epochs", type=int, help="passes with all layers (0: the head alone)")
    added.add_argument("--base-lr", type=float, help="the highest learning rate")
    added.add_argument("--layer-decay", type=float, help="rate of each layer group, as a part of the one above")
    added.add_argument("--weight-decay", type=float, help="AdamW's weight decay")
    added.add_argument("--label-smoothing", type=float, help="from 0 to 1")
    added.add_argument("--note", help="kept with the run")


def _settings(added: argparse.ArgumentParser) -> None:
    added.add_argument("--backbone", help="a timm name; 'backbones' lists them")
    added.add_argument("--image-size", type=int, help="side in pixels (0: the backbone's own)")
    added.add_argument("--resize", choices=("squish", "crop", "pad"), help="how pictures become square")
    added.add_argument("--batch-size", type=int, help="pictures a step")
    added.add_argument("--augmentation", choices=("photo", "top-down", "text", "none"), help="random views")
    added.add_argument("--seed", type=int, help="the same seed gives the same run")
    added.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="where to compute")


def _cleaning_arguments(command: Add) -> None:
    added = command("review", _review, "what a run gets wrong")
    added.add_argument("--run", help="the run (newest if left out)")
    added.add_argument("--split", choices=("train", "valid", "test"), default="valid", help="judged on")
    added.add_argument("--count", type=int, default=50, help="top losses")
    added = command("suspects", _suspects, "the cleaning queue")
    added.add_argument("--run", help="the run (newest if left out)")
    added = command("decide", _decide, "keep, remove, restore or relabel one image")
    added.add_argument("--id", required=True, help="the image")
    choice = added.add_mutually_exclusive_group(required=True)
    for action in ("keep", "remove", "restore"):
        choice.add_argument(f"--{action}", dest="action", action="store_const", const=action, help=f"{action} it")
    choice.add_argument("--relabel", metavar="L", help="give it this label")
    added = command("undo", _undo, "take back the last decisions")
    added.add_argument("--count", type=int, default=1, help="how many")
    command("decisions", _decisions, "the journal")
    added = command("compare", _compare, "two runs on the same images, paired")
    added.add_argument("run_a", metavar="RUN_A", help="the run before")
    added.add_argument("run_b", metavar="RUN_B", help="the run after")


def _shipping_arguments(command: Add) -> None:
    added = command("predict", _predict, "what a model says about pictures", workspace=False)
    added.add_argument("model", metavar="MODEL", help="an exported folder, or a run's folder")
    added.add_argument("images", nargs="+", metavar="IMAGE", help="picture files")
    added.add_argument("--tta", action="store_true", help="average over the picture and its mirror image")
    added = command("export", _export, "a run as a model folder or a Space folder, checked")
    added.add_argument("run", metavar="RUN", help="the run")
    added.add_argument("out", metavar="OUT", help="the folder to write")
    added.add_argument("--onnx", action="store_true", help="an ONNX model too")
    added.add_argument("--space", action="store_true", help="a Hugging Face Space folder")
    added = command("deploy", _deploy, "a Space folder to Hugging Face; the token is HF_TOKEN", workspace=False)
    added.add_argument("space_dir", metavar="SPACE_DIR", help="what export --space wrote")
    added.add_argument("repo_id", metavar="REPO_ID", help="USER/NAME")
    added.add_argument("--private", action="store_true", help="only you may see it")
    command("jobs", _jobs, "what is running")
    added = command("cancel", _cancel, "ask a job to stop")
    added.add_argument("job", metavar="JOB", help="the job's id")


def _config(kind: Any, args: argparse.Namespace) -> Any:
    """A configuration dataclass from the arguments that were given; the rest keeps its defaults."""
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in vars(args).items() if name in names and value is not None})


# --- the process ---------------------------------------------------------------------------------------------------


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    args = _parser().parse_args(arguments)
    try:
        print_result(args.run_it(args), args.json)
        return 0
    except (KeyboardInterrupt, Cancelled):
        print("Cancelled.", file=sys.stderr)
        return 130
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except (PipelineError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main())
