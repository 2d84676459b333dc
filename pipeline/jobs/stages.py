"""The stages that can be a job, by name: where each is found, and what it does in words.

A job's file holds the name, never a path of code, so that code may move and an older job can still be resumed.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any, TypeAlias, get_type_hints

from pipeline.errors import JobError
from pipeline.stage import Stage
from pipeline.workspace.workspace import Workspace

StageFunction: TypeAlias = Callable[[Workspace, Any], Stage[Any]]
# A module that holds further stages, as a Mapping named STAGES: those of one's own program, or of the tests.
FURTHER = "WINNOW_STAGES"


class StageName(StrEnum):
    """The names of the stages; what a job's file, the command line's ``jobs`` and the tabs call them."""

    IMPORT = "import_images"
    SEARCH = "search"
    DOWNLOAD = "download"
    VERIFY = "verify"
    LOOK = "look"
    FIND_LR = "find_lr"
    TRAIN = "train"
    PREDICT = "predict_many"
    EXPORT = "export"
    TRY_SPACE = "try_space"
    DEPLOY = "deploy"
    DATASET = "export_dataset"
    APPLY = "apply"


@dataclass(frozen=True)
class StageEntry:
    """``place``: ``module:function``, looked up when the stage is run; ``doing``: what it does, as a job's title."""

    place: str
    doing: str


STAGES: Mapping[str, StageEntry] = {
    StageName.IMPORT: StageEntry("pipeline.collect.importing:import_images", "Importing pictures"),
    StageName.SEARCH: StageEntry("pipeline.search.search:search", "Searching the web"),
    StageName.DOWNLOAD: StageEntry("pipeline.collect.download:download", "Downloading pictures"),
    StageName.VERIFY: StageEntry("pipeline.verify.verify:verify", "Checking pictures"),
    StageName.LOOK: StageEntry("pipeline.label.features:look", "Looking at every picture"),
    StageName.FIND_LR: StageEntry("pipeline.train.lr_finder:find_lr", "Looking for a learning rate"),
    StageName.TRAIN: StageEntry("pipeline.train.train:train", "Training"),
    StageName.PREDICT: StageEntry("pipeline.ask.many:predict_many", "Asking about pictures"),
    StageName.EXPORT: StageEntry("pipeline.deploy.export:export", "Making the model folder"),
    StageName.TRY_SPACE: StageEntry("pipeline.deploy.trial:trial", "Testing the Space"),
    StageName.DEPLOY: StageEntry("pipeline.deploy.hub:deploy", "Sending to Hugging Face"),
    StageName.DATASET: StageEntry("pipeline.dataset.export:export_dataset", "Writing the cleaned set"),
    StageName.APPLY: StageEntry("pipeline.dataset.apply:apply", "Writing your folder as it was decided"),
}


def name_of(stage: StageFunction) -> str:
    """The name of a stage function. Raises JobError for one that is not in the table."""
    place = f"{stage.__module__}:{stage.__qualname__}"
    for name, entry in _table().items():
        if entry.place == place:
            return str(name)
    raise JobError(f"{place} is not a stage of Winnow.")


def doing(name: str) -> str:
    """What the stage of that name does, in words; made from the name where no stage has it any more."""
    entry = _table().get(name)
    return entry.doing if entry else name.replace("_", " ").capitalize()


def written_name(description: Mapping[str, Any]) -> str:
    """The stage that a job's file names. Files of version 0.1 hold a path of code, whose last part is the name."""
    return str(description.get("stage") or description["target"].rpartition(":")[2].rpartition(".")[2])


def find(name: str, config: Mapping[str, Any]) -> tuple[StageFunction, Any]:
    """The stage of that name, and its configuration from what a job's file holds. Raises JobError where it is unknown,
    or has no such settings.
    """
    entry = _table().get(name)
    if entry is None:
        raise JobError(f"{name} is not a stage of this version of Winnow.")
    module, _, attribute = entry.place.partition(":")
    function: StageFunction = getattr(importlib.import_module(module), attribute)
    annotated = get_type_hints(function)["config"]
    kind: Any = next(kind for kind in getattr(annotated, "__args__", (annotated,)) if is_dataclass(kind))
    known = {field.name for field in fields(kind)}
    if unknown := sorted(config.keys() - known):
        raise JobError(
            f"This job was started by another version, with settings that this one does not have "
            f"({', '.join(unknown)}). Start it anew."
        )
    return function, kind(**{key: _tuple(value) for key, value in config.items()})


def _tuple(value: Any) -> Any:
    """JSON has no tuples; configurations have no lists."""
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value


def _table() -> Mapping[str, StageEntry]:
    further = os.environ.get(FURTHER)
    return {**STAGES, **importlib.import_module(further).STAGES} if further else STAGES
