"""The library's face: what the browser and the terminal do, from Python. Each name is loaded when it is asked for.

    import winnow as w

    ws = w.Workspace.create("fruit")
    w.run(w.import_images(ws, w.ImportConfig("starter")))
    trained = w.run(w.train(ws, w.TrainConfig(epochs=1)), print)

A stage (``search``, ``download``, ``import_images``, ``verify``, ``check_files``, ``look``, ``train``, ``find_lr``,
``predict_many``, ``export``, ``try_space``, ``deploy``, ``export_dataset``, ``send_dataset``, ``apply``) is a generator
that says how far it is: ``run`` drives it here and returns its result, ``start`` runs it in a process of its own.
Whatever goes wrong is a ``PipelineError`` with a sentence for the person. ``help(w.train)`` shows what a name does,
with an example, in which ``ws`` is an open workspace.

Pictures are opened in processes that read the main program again, so a script does its work below
``if __name__ == "__main__":``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app import create_app as create_app
    from cleaner.clean.decisions import decisions as decisions
    from cleaner.clean.decisions import keep as keep
    from cleaner.clean.decisions import redo as redo
    from cleaner.clean.decisions import relabel as relabel
    from cleaner.clean.decisions import remove as remove
    from cleaner.clean.decisions import rename as rename
    from cleaner.clean.decisions import restore as restore
    from cleaner.clean.decisions import undo as undo
    from cleaner.clean.replay import export_decisions as export_decisions
    from cleaner.clean.replay import replay as replay
    from cleaner.clean.suspects import audit as audit
    from cleaner.clean.suspects import suspects as suspects
    from cleaner.compare.compare import compare as compare
    from cleaner.compare.ledger import ledger as ledger
    from cleaner.review.review import review as review
    from pipeline.ask.many import PredictConfig as PredictConfig
    from pipeline.ask.many import predict_many as predict_many
    from pipeline.ask.submission import submit as submit
    from pipeline.collect.data_card import write_card as write_card
    from pipeline.collect.download import DownloadConfig as DownloadConfig
    from pipeline.collect.download import download as download
    from pipeline.collect.importing import ImportConfig as ImportConfig
    from pipeline.collect.importing import import_images as import_images
    from pipeline.dataset.apply import ApplyConfig as ApplyConfig
    from pipeline.dataset.apply import apply as apply
    from pipeline.dataset.changes import changes as changes
    from pipeline.dataset.export import DatasetConfig as DatasetConfig
    from pipeline.dataset.export import export_dataset as export_dataset
    from pipeline.deploy.export import ExportConfig as ExportConfig
    from pipeline.deploy.export import export as export
    from pipeline.deploy.hub import DeployConfig as DeployConfig
    from pipeline.deploy.hub import deploy as deploy
    from pipeline.deploy.hub_dataset import SendConfig as SendConfig
    from pipeline.deploy.hub_dataset import send_dataset as send_dataset
    from pipeline.deploy.trial import try_space as try_space
    from pipeline.errors import BackboneError as BackboneError
    from pipeline.errors import DeployError as DeployError
    from pipeline.errors import ExportError as ExportError
    from pipeline.errors import JobError as JobError
    from pipeline.errors import NetworkError as NetworkError
    from pipeline.errors import NotEnoughData as NotEnoughData
    from pipeline.errors import PipelineError as PipelineError
    from pipeline.errors import RunError as RunError
    from pipeline.errors import SourceError as SourceError
    from pipeline.errors import StaleDecision as StaleDecision
    from pipeline.errors import StoreError as StoreError
    from pipeline.errors import TooManyBroken as TooManyBroken
    from pipeline.errors import UsageError as UsageError
    from pipeline.errors import WorkspaceError as WorkspaceError
    from pipeline.jobs.job import Job as Job
    from pipeline.jobs.job import cancel as cancel
    from pipeline.jobs.job import list_jobs as list_jobs
    from pipeline.jobs.job import resume as resume
    from pipeline.jobs.job import start as start
    from pipeline.label.features import look as look
    from pipeline.label.rest import accept_rest as accept_rest
    from pipeline.label.rest import rest as rest
    from pipeline.label.sheets import answer as answer
    from pipeline.label.sheets import next_sheet as next_sheet
    from pipeline.model.backbones import list_backbones as list_backbones
    from pipeline.predict import load as load
    from pipeline.search.search import SearchConfig as SearchConfig
    from pipeline.search.search import search as search
    from pipeline.stage import Progress as Progress
    from pipeline.stage import Stage as Stage
    from pipeline.stage import run as run
    from pipeline.train.config import LrFindConfig as LrFindConfig
    from pipeline.train.config import TrainConfig as TrainConfig
    from pipeline.train.lr_finder import find_lr as find_lr
    from pipeline.train.train import train as train
    from pipeline.verify.scenes import scenes as scenes
    from pipeline.verify.split import keep_together as keep_together
    from pipeline.verify.verify import VerifyConfig as VerifyConfig
    from pipeline.verify.verify import check_files as check_files
    from pipeline.verify.verify import verify as verify
    from pipeline.workspace.runs import Run as Run
    from pipeline.workspace.runs import list_runs as list_runs
    from pipeline.workspace.runs import load_run as load_run
    from pipeline.workspace.workspace import Workspace as Workspace

# Name -> the module that defines it, in the order of the work; the imports above tell type checkers the same.
_WHERE: Mapping[str, str] = {
    # a project, and doing something with it
    "Workspace": "pipeline.workspace.workspace",
    "Progress": "pipeline.stage",
    "Stage": "pipeline.stage",
    "run": "pipeline.stage",
    "Job": "pipeline.jobs.job",
    "start": "pipeline.jobs.job",
    "list_jobs": "pipeline.jobs.job",
    "cancel": "pipeline.jobs.job",
    "resume": "pipeline.jobs.job",
    # pictures come in
    "SearchConfig": "pipeline.search.search",
    "search": "pipeline.search.search",
    "DownloadConfig": "pipeline.collect.download",
    "download": "pipeline.collect.download",
    "ImportConfig": "pipeline.collect.importing",
    "import_images": "pipeline.collect.importing",
    "VerifyConfig": "pipeline.verify.verify",
    "verify": "pipeline.verify.verify",
    "check_files": "pipeline.verify.verify",
    "scenes": "pipeline.verify.scenes",
    "keep_together": "pipeline.verify.split",
    # name what has no label
    "look": "pipeline.label.features",
    "next_sheet": "pipeline.label.sheets",
    "answer": "pipeline.label.sheets",
    "rest": "pipeline.label.rest",
    "accept_rest": "pipeline.label.rest",
    # train
    "TrainConfig": "pipeline.train.config",
    "train": "pipeline.train.train",
    "LrFindConfig": "pipeline.train.config",
    "find_lr": "pipeline.train.lr_finder",
    "list_backbones": "pipeline.model.backbones",
    "Run": "pipeline.workspace.runs",
    "list_runs": "pipeline.workspace.runs",
    "load_run": "pipeline.workspace.runs",
    # look at it and act
    "review": "cleaner.review.review",
    "suspects": "cleaner.clean.suspects",
    "audit": "cleaner.clean.suspects",
    "keep": "cleaner.clean.decisions",
    "relabel": "cleaner.clean.decisions",
    "remove": "cleaner.clean.decisions",
    "restore": "cleaner.clean.decisions",
    "undo": "cleaner.clean.decisions",
    "redo": "cleaner.clean.decisions",
    "decisions": "cleaner.clean.decisions",
    "rename": "cleaner.clean.decisions",
    "export_decisions": "cleaner.clean.replay",
    "replay": "cleaner.clean.replay",
    "compare": "cleaner.compare.compare",
    "ledger": "cleaner.compare.ledger",
    # ask, and let it leave
    "load": "pipeline.predict",
    "PredictConfig": "pipeline.ask.many",
    "predict_many": "pipeline.ask.many",
    "submit": "pipeline.ask.submission",
    "ExportConfig": "pipeline.deploy.export",
    "export": "pipeline.deploy.export",
    "try_space": "pipeline.deploy.trial",
    "DeployConfig": "pipeline.deploy.hub",
    "deploy": "pipeline.deploy.hub",
    "DatasetConfig": "pipeline.dataset.export",
    "export_dataset": "pipeline.dataset.export",
    "changes": "pipeline.dataset.changes",
    "ApplyConfig": "pipeline.dataset.apply",
    "apply": "pipeline.dataset.apply",
    "SendConfig": "pipeline.deploy.hub_dataset",
    "send_dataset": "pipeline.deploy.hub_dataset",
    "write_card": "pipeline.collect.data_card",
    "create_app": "app",
    # what may go wrong
    "PipelineError": "pipeline.errors",
    "UsageError": "pipeline.errors",
    "WorkspaceError": "pipeline.errors",
    "StoreError": "pipeline.errors",
    "StaleDecision": "pipeline.errors",
    "SourceError": "pipeline.errors",
    "NetworkError": "pipeline.errors",
    "NotEnoughData": "pipeline.errors",
    "TooManyBroken": "pipeline.errors",
    "BackboneError": "pipeline.errors",
    "RunError": "pipeline.errors",
    "ExportError": "pipeline.errors",
    "DeployError": "pipeline.errors",
    "JobError": "pipeline.errors",
}

__all__ = list(_WHERE)

if not TYPE_CHECKING:  # so that a checker still finds a name that is not there

    def __getattr__(name: str) -> Any:
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
