"""Run: one training as a folder with configuration, classes, preprocessing, metrics, predictions and weights."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from pipeline import __version__
from pipeline.errors import RunError, UsageError
from pipeline.labels import answers_of
from pipeline.machine import may_map, replace
from pipeline.predict import CONFIG, FAMILIAR, WEIGHTS, Familiar, Outputs, checksum, file_sha256
from pipeline.workspace.ids import TO_SECOND, by_beginning
from pipeline.workspace.seals import check_file, check_record, sealed
from pipeline.workspace.workspace import Workspace, writing

Halves: TypeAlias = np.ndarray[Any, np.dtype[np.float16]]
MANIFEST = "run.json"
PREDICTIONS, OUT_OF_FOLD = "predictions.csv", "out_of_fold.csv"
FEATURES, FEATURE_IDS = "features.npy", "features_ids.txt"

FILE = "about.json"
LONGEST_NAME, LONGEST_NOTE = 80, 2000
# A record of a thousand classes and epochs has about two.
LARGEST_RECORD = 64 << 20
KINDS: Mapping[str, type] = {
    **dict.fromkeys(("id", "created"), str),
    **dict.fromkeys(("classes", "epochs"), list),
    **dict.fromkeys(("config", "test", "valid", "files"), dict),
}
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True)
class Run:
    """One finished training. ``record`` is its run.json, which is written last: a folder that has it is complete.

    >>> run = w.load_run(ws)
    >>> run.name, run.classes, run.test["n"]
    ('after cleaning', ('apple', 'melon', 'pear'), 9)
    >>> run.predictions().groupby("split").size().to_dict()
    {'test': 9, 'train': 42, 'valid': 9}
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its name: when it began, and a few random digits."""
        return str(self.record["id"])

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of the model's outputs."""
        return tuple(self.record["classes"])

    @property
    def outputs(self) -> Outputs:
        """What the model's outputs mean, with the thresholds it was given; softmax for a run that does not say."""
        return Outputs.from_json(self.record.get("outputs"))

    @property
    def answers(self) -> tuple[str, ...]:
        """All that the model may answer: its classes, and "none of these" where it may say that."""
        return answers_of(self.classes, self.outputs)

    @property
    def config(self) -> dict[str, Any]:
        """The TrainConfig it was trained with, as a dict."""
        return dict(self.record["config"])

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """One {epoch, phase, train_loss, valid_loss, error_rate, seconds} an epoch; epoch 0 is the head alone."""
        return list(self.record["epochs"])

    @property
    def test(self) -> dict[str, Any]:
        """{error_rate, low, high, n, baseline_error_rate} on the test split."""
        return dict(self.record["test"])

    @property
    def valid(self) -> dict[str, Any]:
        """{error_rate, low, high, n, baseline_error_rate} on the valid split."""
        return dict(self.record["valid"])

    @property
    def created(self) -> str:
        """When it was finished (UTC, ISO 8601)."""
        return str(self.record["created"])

    @property
    def name(self) -> str:
        """What the person calls it; its id where it was given no name."""
        return read_about(self.folder).name or self.id

    @property
    def note(self) -> str:
        """What the person wrote about it: since then, or when it was started."""
        since = read_about(self.folder).note
        return str(self.record["config"].get("note", "")) if since is None else since

    @cached_property
    def _predictions(self) -> pd.DataFrame:
        return self._table(PREDICTIONS)

    @cached_property
    def _out_of_fold(self) -> pd.DataFrame:
        if (self.folder / OUT_OF_FOLD).exists() or OUT_OF_FOLD in self.record.get("files", {}):
            return self._table(OUT_OF_FOLD)
        return self._predictions[self._predictions["split"] != "test"]  # an earlier version's run

    def _table(self, name: str) -> pd.DataFrame:
        text = {"id": str, "split": str, "label": str, "predicted": str}
        try:
            self.check(name)
            return pd.read_csv(self.folder / name, dtype=text, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise RunError(
                f"The predictions of run {self.id} cannot be read ({self.folder / name}: {error}). Train again."
            ) from error

    def check(self, name: str) -> None:
        """Raises ValueError, in words, where the run's file of that name is not as it was written; OSError where it is
        gone. Runs of earlier versions do not say how theirs were.
        """
        check_file(self.folder / name, self.record)

    def predictions(self) -> pd.DataFrame:
        """One row per image: id, split, label (as when trained), predicted, probability, loss, out_of_fold,
        strangeness (see :func:`pipeline.model.out_of_fold.strangeness`; runs of earlier versions lack it), and a column
        ``p:<class>`` for each class. Rows of the train split are out-of-fold, the others are the model's own.
        """
        return self._predictions.copy()

    def out_of_fold(self) -> pd.DataFrame:
        """The same columns for every image of the train and the valid split, each answered by a head that learnt from
        neither it nor its duplicates; a run of an earlier version has the model's own answers for the valid split.
        """
        return self._out_of_fold.copy()

    def features(self) -> tuple[list[str], Halves] | None:
        """(image ids, float16 [N, F], mapped from its file): what the model's body makes of every image it was asked
        about, as it was at the end; None for a run of an earlier version. Raises RunError where they cannot be read.
        """
        if not (self.folder / FEATURES).exists() and FEATURES not in self.record.get("files", {}):
            return None
        try:
            self.check(FEATURES)
            self.check(FEATURE_IDS)
            ids = (self.folder / FEATURE_IDS).read_text(encoding="utf-8").split()
            features: Halves = np.load(self.folder / FEATURES, mmap_mode="r" if may_map() else None, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise RunError(f"The features of run {self.id} cannot be read ({error}). Train again.") from error
        if features.ndim != 2 or len(features) != len(ids):
            raise RunError(f"The features of run {self.id} are damaged. Train again.")
        return ids, features


def list_runs(workspace: Workspace) -> list[Run]:
    """The complete runs of a workspace, newest first; without the damaged ones (:func:`runs_and_damaged`).

    >>> [run.name for run in w.list_runs(ws)]
    ['after cleaning', 'before cleaning']
    """
    return _runs_in(workspace.runs)[0]


def runs_and_damaged(workspace: Workspace) -> tuple[list[Run], list[str]]:
    """The complete runs, newest first, and what is wrong with those that cannot be read, a sentence each."""
    runs, damaged = _runs_in(workspace.runs)
    return runs, [str(trouble) for trouble in damaged.values()]


def _runs_in(place: Path) -> tuple[list[Run], dict[Path, RunError]]:
    """The runs in a folder, newest first, and the folders of those that cannot be read."""
    runs, damaged = list[Run](), dict[Path, RunError]()
    for folder in map(place.joinpath, sorted(_folders(place))):
        try:
            runs.append(_load(folder))
        except RunError as error:
            damaged[folder] = error
    return sorted(runs, key=lambda run: run.created, reverse=True), damaged


def _folders(place: Path) -> list[str]:
    """The names of the folders in which a run is, whole or damaged."""
    return [file.parent.name for file in place.glob(f"*/{MANIFEST}") if file.parent.suffix != ".part"]


def load_run(workspace: Workspace, run_id: str | None = None) -> Run:
    """The run with this id, or the only one whose id begins so; the newest where none is given. Raises RunError where
    there is none, there are several, or it is damaged.

    >>> w.load_run(ws).name
    'after cleaning'
    """
    if run_id is None:
        runs, damaged = _runs_in(workspace.runs)
        newer = [folder for folder in damaged if not runs or folder.name > runs[0].folder.name]
        if newer:
            raise damaged[newer[-1]]
        if not runs:
            raise RunError("Nothing was trained in this workspace yet. Train a model first.")
        return runs[0]
    return _load(workspace.runs / by_beginning(Path(run_id).name, _folders(workspace.runs), "run", RunError, TO_SECOND))


def _load(folder: Path) -> Run:
    try:
        if (folder / MANIFEST).stat().st_size > LARGEST_RECORD:
            raise ValueError(f"it is larger than {LARGEST_RECORD >> 20} MiB")
        record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        check_record(record)
        _check_kinds(record)
        return Run(folder, {**record, "id": record["id"], "created": record["created"]})
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"The run in {folder} is damaged ({MANIFEST}: {error}). Move its folder away.") from error


def _check_kinds(record: Mapping[str, Any]) -> None:
    """Raises ValueError where a part of a record is not of its kind, or an id has parts of a path."""
    for key, kind in KINDS.items():
        if key in record and not isinstance(record[key], kind):
            raise ValueError(f"its {key} is not as a training writes it")
    name = record["id"]
    if (
        not name
        or len(name) > LONGEST_NAME
        or not name.isprintable()
        or any(part in name for part in ("/", "\\", ".."))
    ):
        raise ValueError("its id is no name of a folder")
    for key, kind in (("classes", str), ("epochs", dict)):
        if not all(isinstance(one, kind) for one in record.get(key, ())):
            raise ValueError(f"its {key} are not as a training writes them")


def describe(workspace: Workspace, run_id: str, name: str, note: str) -> Run:
    """Give a run this name (empty: its id again) and this note. Raises RunError, and UsageError for a long text."""
    run = load_run(workspace, run_id)
    write_about(run.folder, name, note)
    return run


def discard(workspace: Workspace, run_id: str) -> Run:
    """Move a run to the workspace's trash, with all that is in its folder. Raises RunError where there is none."""
    return _moved(load_run(workspace, run_id), _trash(workspace))


def discarded(workspace: Workspace) -> list[Run]:
    """The runs in the trash, newest first."""
    return _runs_in(_trash(workspace))[0]


def restore(workspace: Workspace, run_id: str) -> Run:
    """Take a run back out of the trash. Raises RunError where it is not there."""
    trash = _trash(workspace)
    where = "in the trash of this workspace"
    name = by_beginning(Path(run_id).name, _folders(trash), "run", RunError, TO_SECOND, where)
    return _moved(_load(trash / name), workspace.runs)


def _trash(workspace: Workspace) -> Path:
    """Beside the pictures in the trash, whose folders have names of two digits."""
    return workspace.trash / "runs"


def _moved(run: Run, place: Path) -> Run:
    target = place / run.folder.name
    if target.exists():
        raise RunError(f"There is a folder {target} already. Move it away, then try again.")
    place.mkdir(parents=True, exist_ok=True)
    replace(run.folder, target)
    return Run(target, run.record)


def new_run_id() -> str:
    """A name that sorts by time and that two trainings begun at once do not share."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"


def write_record(folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Write run.json, the last of a run's files: the ``record``, sealed together with the others; returns it so."""
    content = sealed(folder, json.loads(json.dumps(record)))  # as it will be read
    with writing(folder / MANIFEST) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    return content


def write_features(folder: Path, ids: Iterable[str], features: Any) -> None:
    """Write the ``features`` [N, F] (a tensor) of the images of those ids."""
    (folder / FEATURE_IDS).write_text("\n".join(ids), encoding="utf-8")
    np.save(folder / FEATURES, features.half().numpy())


def write_model(folder: Path, model: Any, info: Mapping[str, Any], familiar: Familiar | None) -> None:
    """Write model.safetensors, familiar.safetensors (where given) and config.json.

    ``info`` lacks only what is known here: format, versions, files and checksum.
    """
    from safetensors.torch import save_file

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    if familiar is not None:
        usual = {name: tensor.cpu().contiguous() for name, tensor in familiar.parts.items()}
        save_file(usual, folder / FAMILIAR)
    files = {file.name: file_sha256(file) for file in sorted(folder.glob("*.safetensors"))}
    versions = {package: version(package) for package in ("torch", "timm", "pillow", "safetensors")}
    versions["winnow"] = __version__
    content = {"format": 2, **info, "versions": versions, "files": files}
    write_info(folder, content)


def write_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Write config.json with its checksum."""
    content = {**info, "checksum": checksum(info)}
    (folder / CONFIG).write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def limit_set_on(unfamiliar: Mapping[str, Any]) -> str:
    """On which pictures the limit was set, in words, by what config.json says under ``unfamiliar``."""
    said = unfamiliar.get("set_on") or {}
    if not said.get("by"):
        return "the pictures of the valid split"
    how = "" if said["by"] == "scenes" else ", as far as their looks tell scenes apart"
    return f"{said['images']:,} pictures of {said['scenes']:,} scenes that were held out one by one{how}"


def set_on_in_words(said: Mapping[str, Any] | None) -> str:
    """On which pictures the temperature or the thresholds were set, by what a run's record says under ``set_on``."""
    if not said or not said.get("images"):
        return "the pictures of the valid split"
    images = f"{said['images']:,} pictures of the valid split"
    if said.get("apart"):
        return f"{images}, of {said['scenes']:,} scenes that it did not learn from"
    if said.get("by"):
        return f"{images}, some of them of scenes that it learnt from, too"
    return f"{images} (which of them were taken together with those that it learnt from is not known)"


def doubted_by_in_words(said: Mapping[str, Any] | None) -> str:
    """Whose answers say which labels are wrong, by what a run's record says under ``set_on.out_of_fold``."""
    if said and said.get("apart"):
        return f"By answers about {said['images']:,} pictures, each of a head that saw none of the picture's scene."
    alike = "other pictures of the same scene may have been seen" if said and said.get("by") else "scenes are not known"
    return f"By answers of heads that did not see the picture or its duplicates ({alike})." if said else ""


def baselines_in_words(said: Mapping[str, Any] | None) -> str:
    """What a run's record says under ``baselines`` beside the majority, in a sentence; empty where nothing is known."""
    parts = [
        f"{words} is wrong on {100 * said[name]:.1f} %"
        for name, words in (("average_picture", "the nearest class average"), ("nearest", "the nearest picture"))
        if said and isinstance(said.get(name), (int, float))
    ]
    return f"Without training, {' and '.join(parts)}." if parts else ""


# --- What a person says about a run: a name and a note, in a file of their own that can be changed at any time -------


@dataclass(frozen=True)
class About:
    """``name`` (one line) and ``note`` of a run; None: nothing was said. An empty note is a note taken away."""

    name: str | None = None
    note: str | None = None


def read_about(folder: Path) -> About:
    """What was said about the run in ``folder``; nothing where the file is missing or damaged."""
    try:
        said = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return About(_text(said["name"]), _text(said["note"]))
    except (OSError, ValueError, KeyError, TypeError):
        return About()


def write_about(folder: Path, name: str, note: str) -> About:
    """Say so about the run in ``folder``, whole or not at all. An empty name takes the name away.

    Raises UsageError where either is too long.
    """
    about = About(" ".join(_UNSEEN.sub(" ", name).split()) or None, _UNSEEN.sub("", note).strip())
    for words, longest, what in ((about.name, LONGEST_NAME, "name"), (about.note, LONGEST_NOTE, "note")):
        if len(words or "") > longest:
            raise UsageError(f"The {what} has {len(words or ''):,} characters; {longest:,} is the most. Shorten it.")
    with writing(folder / FILE) as part:
        part.write_text(json.dumps(asdict(about), ensure_ascii=False), encoding="utf-8")
    return about


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
