"""The terminal's door: one subcommand per stage, the same stages as in the browser, printed; no logic.

    python cli.py COMMAND WORKSPACE ... [--json]

With --json, progress goes to stderr and one JSON document to stdout. Exit codes: 0 done, 1 the step failed (one line
says why), 2 wrong usage, 130 cancelled, 141 where nobody reads stdout any more (``| head``).
"""

from __future__ import annotations

from pipeline.endings import CANCELLED, say, settle, stand_by, stop_when_ended, unexpected

if __name__ == "__main__":
    stand_by("cli")  # before the rest is imported

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.errors import Cancelled, ExportError, PipelineError, TooManyBroken, UsageError
from pipeline.machine import speak_any_text
from pipeline.safe_text import visible
from pipeline.terminal.arguments import parser
from pipeline.terminal.show import can_ask, confirmed, in_one_line, print_result, run_and_show, tell_each
from pipeline.web.proxies import spare_loopback
from pipeline.workspace.workspace import Workspace

Command = Callable[[argparse.Namespace], Any]


# --- the commands: arguments -> stage -> what is printed -----------------------------------------------------------


def _import(args: argparse.Namespace) -> Any:
    from pipeline.collect.importing import ImportConfig
    from pipeline.terminal.importing import import_here

    return import_here(Workspace.create(args.workspace), _config(ImportConfig, args), can_ask(args.json))


def _search(args: argparse.Namespace) -> Any:
    from pipeline.search.search import SearchConfig, search

    return run_and_show(search(Workspace.create(args.workspace), _config(SearchConfig, args)))


def _download(args: argparse.Namespace) -> Any:
    from pipeline.collect.download import DownloadConfig, download

    return run_and_show(download(Workspace.create(args.workspace), _config(DownloadConfig, args)))


def _check(args: argparse.Namespace) -> Any:
    from pipeline.verify.verify import VerifyConfig, check_files

    found = run_and_show(check_files(args.paths, VerifyConfig(max_megapixels=args.max_megapixels)))
    return {"files": [{"path": path, **checked.to_json()} for path, checked in found]}


def _verify(args: argparse.Namespace) -> Any:
    from pipeline.terminal.scenes import about_scenes
    from pipeline.verify.scenes import AUTO
    from pipeline.verify.verify import ASK, VerifyConfig, verify

    workspace, ask = Workspace.open(args.workspace), can_ask(args.json)
    more = {"scenes": args.scenes or (ASK if ask else AUTO), "accept_broken": bool(args.accept_broken) or not ask}
    config = _config(VerifyConfig, args, **more)
    try:
        found = run_and_show(verify(workspace, config))
    except TooManyBroken as doubt:
        if not confirmed(str(doubt)):
            raise
        found = run_and_show(verify(workspace, dataclasses.replace(config, accept_broken=True)))
    return about_scenes(workspace, found, ask and not args.scenes)


def _scenes(args: argparse.Namespace) -> Any:
    from pipeline.terminal.scenes import scenes_here

    return scenes_here(Workspace.open(args.workspace), args.by)


def _sheets(args: argparse.Namespace) -> Any:
    from pipeline.terminal.labelling import sheet_here

    return sheet_here(Workspace.open(args.workspace), args.size)


def _label(args: argparse.Namespace) -> Any:
    from pipeline.terminal.labelling import label_here

    return label_here(Workspace.open(args.workspace), args.sheet, args.label, args.but, args.accept_rest, args.size)


def _images(args: argparse.Namespace) -> Any:
    from pipeline.terminal.pictures import images_here

    return {"images": images_here(Workspace.open(args.workspace), args.status)}


def _backbones(args: argparse.Namespace) -> Any:
    from pipeline.model.backbones import list_backbones

    found = list_backbones(args.filter)
    return {"backbones": [{**dataclasses.asdict(backbone), "offline": backbone.offline} for backbone in found]}


def _lr_find(args: argparse.Namespace) -> Any:
    from pipeline.train.config import LrFindConfig
    from pipeline.train.lr_finder import find_lr

    return run_and_show(find_lr(Workspace.open(args.workspace), _config(LrFindConfig, args)))


def _train(args: argparse.Namespace) -> Any:
    from pipeline.train.new_scenes import in_words
    from pipeline.train.train import TrainConfig, train
    from pipeline.workspace.runs import Run

    trained: Run = run_and_show(train(Workspace.open(args.workspace), _config(TrainConfig, args)))
    tell_each(in_words(trained.record))
    return {"run": trained.id, **{key: value for key, value in trained.record.items() if key != "id"}}


def _review(args: argparse.Namespace) -> Any:
    from cleaner.review.review import review
    from pipeline.workspace.runs import load_run

    workspace = Workspace.open(args.workspace)
    return review(workspace, load_run(workspace, args.run), args.split, args.count)


def _suspects(args: argparse.Namespace) -> Any:
    from cleaner.clean.suspects import audit, suspects
    from pipeline.workspace.runs import load_run

    workspace = Workspace.open(args.workspace)
    queue = audit if args.audit_test else suspects
    return {"suspects": queue(workspace, load_run(workspace, args.run)).to_dict("records")}


def _decide(args: argparse.Namespace) -> Any:
    from cleaner.clean.decisions import decide, restore, wish
    from pipeline.verify.groups import not_the_same

    workspace = Workspace.open(args.workspace)
    if args.action == "restore":
        return {"decisions": [restore(workspace, args.id)]}
    if args.action == "not_same":
        return {"decisions": not_the_same(workspace, [args.id])}
    return {"decisions": [decide(workspace, wish(args.action or "relabel", args.id, args.relabel or ""))]}


def _undo(args: argparse.Namespace) -> Any:
    from cleaner.clean.decisions import undo, undo_step

    workspace = Workspace.open(args.workspace)
    return {"decisions": undo_step(workspace) if args.count is None else undo(workspace, args.count)}


def _redo(args: argparse.Namespace) -> Any:
    from cleaner.clean.decisions import redo, redo_step

    workspace = Workspace.open(args.workspace)
    return {"decisions": redo_step(workspace) if args.count is None else redo(workspace, args.count)}


def _decisions(args: argparse.Namespace) -> Any:
    from cleaner.clean.decisions import decisions
    from cleaner.clean.replay import export_decisions

    workspace = Workspace.open(args.workspace)
    return export_decisions(workspace, args.out) if args.out else {"decisions": decisions(workspace)}


def _replay(args: argparse.Namespace) -> Any:
    from cleaner.clean.replay import replay

    return replay(Workspace.open(args.workspace), args.file)


def _rename(args: argparse.Namespace) -> Any:
    from cleaner.clean.decisions import rename

    return rename(Workspace.open(args.workspace), args.old, args.new)


def _compare(args: argparse.Namespace) -> Any:
    from cleaner.compare.compare import compare
    from pipeline.workspace.runs import load_run

    workspace = Workspace.open(args.workspace)
    return compare(workspace, load_run(workspace, args.run_a), load_run(workspace, args.run_b), args.every)


def _ledger(args: argparse.Namespace) -> Any:
    from cleaner.compare.ledger import ledger

    return ledger(Workspace.open(args.workspace))


def _predict(args: argparse.Namespace) -> Any:
    if args.sample or args.positive:
        from pipeline.ask.submission import submit

        if not (args.sample and args.out and len(args.images) == 1):
            raise UsageError("A submission takes one folder of pictures, --sample SAMPLE.csv and --out FILE.csv.")
        folder = args.images[0]
        return run_and_show(submit(args.model, folder, args.sample, args.out, args.positive, bool(args.tta)))
    from pipeline.ask.many import predict_paths

    return run_and_show(predict_paths(args.model, args.images, bool(args.tta), args.out))


def _serve(args: argparse.Namespace) -> Any:
    from pipeline.deploy.serve import ServeConfig, serve

    return serve(_config(ServeConfig, args))


def _export(args: argparse.Namespace) -> Any:
    from pipeline.deploy.export import ExportConfig, export

    return run_and_show(export(Workspace.open(args.workspace), _config(ExportConfig, args)))


def _test_space(args: argparse.Namespace) -> Any:
    from pipeline.deploy.trial import TrialConfig, try_space

    return run_and_show(try_space(**vars(_config(TrialConfig, args, own_token=True))))


def _deploy(args: argparse.Namespace) -> Any:
    from pipeline.deploy.hub import DeployConfig, deploy

    return run_and_show(deploy(_config(DeployConfig, args), os.environ.get("HF_TOKEN")))


def _card(args: argparse.Namespace) -> Any:
    from pipeline.collect.data_card import write_card

    return {"files": write_card(Workspace.open(args.workspace))}


def _dataset(args: argparse.Namespace) -> Any:
    from pipeline.dataset.export import DatasetConfig, export_dataset

    written = run_and_show(export_dataset(Workspace.open(args.workspace), _config(DatasetConfig, args)))
    if written.incomplete:
        print_result(written, args.json, "dataset")
        raise ExportError(written.incomplete)
    return written


def _send_dataset(args: argparse.Namespace) -> Any:
    from pipeline.deploy.hub_dataset import SendConfig
    from pipeline.terminal.sending import send_here

    return send_here(_config(SendConfig, args), os.environ.get("HF_TOKEN"), can_ask(args.json))


def _changes(args: argparse.Namespace) -> Any:
    from pipeline.dataset.changes import changes
    from pipeline.terminal.leaving import changes_in_words

    return changes_in_words(changes(Workspace.open(args.workspace), args.out))


def _apply(args: argparse.Namespace) -> Any:
    from pipeline.dataset.apply import ApplyConfig, apply
    from pipeline.terminal.leaving import applied_in_words

    return applied_in_words(run_and_show(apply(Workspace.open(args.workspace), _config(ApplyConfig, args))))


def _jobs(args: argparse.Namespace) -> Any:
    from pipeline.jobs.job import list_jobs

    return {"jobs": list_jobs(Workspace.open(args.workspace))}


def _cancel(args: argparse.Namespace) -> Any:
    from pipeline.jobs.job import GRACE_SECONDS, cancel, wait_for

    workspace = Workspace.open(args.workspace)
    asked = cancel(workspace, args.job)
    return {"jobs": [wait_for(workspace, asked.id, GRACE_SECONDS + 5)]}


def _config(kind: Any, args: argparse.Namespace, **more: Any) -> Any:
    """A configuration dataclass from ``more`` and the arguments that were given; the rest keeps its defaults."""
    names = {field.name for field in dataclasses.fields(kind)}
    given = {name: value for name, value in vars(args).items() if name in names and value is not None}
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return kind(**{**given, **lists, **more})


COMMANDS: Mapping[str, Command] = {
    "import": _import,
    "search": _search,
    "download": _download,
    "check": _check,
    "verify": _verify,
    "scenes": _scenes,
    "sheets": _sheets,
    "label": _label,
    "images": _images,
    "backbones": _backbones,
    "lr-find": _lr_find,
    "train": _train,
    "review": _review,
    "suspects": _suspects,
    "decide": _decide,
    "undo": _undo,
    "redo": _redo,
    "decisions": _decisions,
    "replay": _replay,
    "rename": _rename,
    "compare": _compare,
    "ledger": _ledger,
    "predict": _predict,
    "serve": _serve,
    "export": _export,
    "test-space": _test_space,
    "deploy": _deploy,
    "card": _card,
    "dataset": _dataset,
    "send-dataset": _send_dataset,
    "changes": _changes,
    "apply": _apply,
    "jobs": _jobs,
    "cancel": _cancel,
}


# --- the process ---------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    speak_any_text()
    try:
        args = parser().parse_args(arguments)
        spare_loopback(os.environ)
        result = COMMANDS[args.command](args)
        return print_result(result, args.json, args.command, getattr(args, "workspace", None))
    except (KeyboardInterrupt, Cancelled):
        say("Cancelled.")
        return CANCELLED
    except UsageError as error:
        say(in_one_line(error))
        return 2
    except (PipelineError, ValueError, OSError) as error:
        say(in_one_line(error))
        return 1
    except Exception as error:  # noqa: BLE001 - the last there is: nobody gets a traceback
        say(visible(unexpected(error, "cli")))
        return 1
    finally:
        settle()


if __name__ == "__main__":
    stop_when_ended()
    sys.exit(main())
