"""A run (+ spaces/) -> a model folder or a Space folder; asked in a fresh process before it is called done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import predict
from pipeline.deploy.model_card import front_matter, has_matrix, model_card, title, write_matrix
from pipeline.deploy.parity import check_onnx, check_weights, expected, spread
from pipeline.deploy.space import DEFAULT_KIND, WITH_ONNX, WITH_WEIGHTS, write_app
from pipeline.deploy.space import readme as space_readme
from pipeline.errors import ExportError, RunError, UsageError
from pipeline.jobs.job import finished
from pipeline.jobs.stages import StageName
from pipeline.machine import replace
from pipeline.predict import CONFIG, ONNX, WEIGHTS, Classifier, checksum, file_sha256, read_info
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage
from pipeline.workspace.runs import Run, load_run, write_info
from pipeline.workspace.seals import Altered, altered, in_a_sentence
from pipeline.workspace.workspace import Workspace, beside, clear_killed, outside, writing

CANDIDATES = 4
NOT_OURS = ("__pycache__", ".gradio")


@dataclass(frozen=True)
class ExportConfig:
    """Which run goes where, and as what. Raises UsageError where that makes no sense.

    The example pictures of a Space are published with it: one a class, re-encoded, at most 1024 px, without metadata,
    and never train pictures.

    >>> w.ExportConfig(run="", out="fruit-space", space=True).kind
    'gradio'
    """

    run: str = field(metadata=about("the run: its id, or how it begins; '' is the newest", flag="RUN"))
    out: str = field(metadata=about("the folder to write", flag="OUT"))
    onnx: bool = setting(False, "an ONNX model too, which takes pictures of any size")
    space: bool = setting(False, "a Hugging Face Space folder")
    kind: str = setting(
        DEFAULT_KIND,
        "the kind of Space",
        choices={"gradio": "on a CPU", "static": "in the visitor's browser", "zerogpu": "on a borrowed GPU"},
        rule="There is no kind of Space called {value!r}. Choose one of: {choices}.",
    )
    examples: int = setting(
        4,
        "example pictures in a Space, published with it",
        low=0,
        rule="The number of example pictures is 0 or more.",
    )
    int8: bool = setting(False, "a smaller ONNX model too; what it costs is measured")

    def __post_init__(self) -> None:
        if not self.out.strip():
            raise UsageError("Say which folder to write.")
        check(self)


@dataclass(frozen=True)
class Exported:
    """The files of the folder (relative names) and how it was checked: {max_difference (of a probability), images};
    under ``onnx`` the same for model.onnx, where there is one. ``int8``: what 8-bit numbers cost, see onnx_export.Cost.
    """

    files: tuple[str, ...]
    folder: str
    parity: dict[str, Any]
    int8: dict[str, Any] | None = None


def export(workspace: Workspace, config: ExportConfig) -> Stage[Exported]:
    """Write the model of a run as a folder that needs nothing of ours; it appears whole and checked, or not at all.

    An earlier export at ``config.out`` is replaced when it is as it was written. Raises ExportError where the folder
    cannot be written or a fresh process answers otherwise than the run did, RunError where the run was changed.

    >>> exported = w.run(w.export(ws, w.ExportConfig(run="", out="exported")))
    >>> "model.safetensors" in exported.files, exported.parity["max_difference"] < 1e-4
    (True, True)
    """
    run = load_run(workspace, config.run or None)
    info = _unchanged(run)
    target = _checked_target(workspace, config.out)
    held_out, altered_since = _held_out(workspace, run)
    if altered_since:
        yield Progress(0, 4, f"{in_a_sentence(altered_since)} They are not used")
    try:
        with _whole(target) as folder:
            folder.mkdir()
            yield Progress(0, 4, f"Copying the model of {run.id}")
            weights = not config.space or config.kind in WITH_WEIGHTS
            info = _copy_model(run, info, folder, weights)
            if config.onnx or config.int8 or (config.space and config.kind in WITH_ONNX):
                # with onnx and onnxruntime: not at the start of the app
                from pipeline.deploy.onnx_export import add_onnx

                info = yield from add_onnx(run, info, folder, held_out, config.int8)
            yield Progress(2, 4, "Writing its card")
            readme = model_card(run, info, _sources(workspace, run), weights=weights)
            if config.space:
                chosen = _examples(run, held_out, config.examples)
                shown = write_app(config.kind, info, folder, chosen, title(run.classes))
                readme = space_readme(config.kind, readme, title(run.classes), shown)
            else:
                readme = front_matter(run, info) + readme
            (folder / "README.md").write_text(readme, encoding="utf-8")
            # files are compared at each load; other_files may be changed (the hub rewrites README.md)
            others = {name: file_sha256(folder / name) for name in _names(folder) if name not in info["files"]}
            write_info(folder, {**info, "title": title(run.classes), "other_files": others})
            yield Progress(3, 4, "Asking the exported model in a fresh process")
            known = expected(run, spread(held_out))
            graph = {"onnx": check_onnx(folder, known)} if ONNX in info["files"] else {}
            parity = {**(check_weights(folder, known) if WEIGHTS in info["files"] else graph["onnx"]), **graph}
            files = tuple(_names(folder))
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}.") from error
    yield Progress(4, 4, f"Written to {target}")
    return Exported(files, str(target), parity, info.get("int8"))


def last_parity(workspace: Workspace, folder: Path) -> Mapping[str, Any] | None:
    """How the folder was checked by the last job that made it (as :attr:`Exported.parity`); None where none did."""
    results = (job.result or {} for job in finished(workspace, StageName.EXPORT) if Path(job.config["out"]) == folder)
    return next((dict(result["parity"]) for result in results if "parity" in result), None)


# --- where it goes -------------------------------------------------------------------------------------------------


def _unchanged(run: Run) -> dict[str, Any]:
    try:
        return read_info(run.folder)
    except ValueError as error:
        raise RunError(f"The model of {run.id} is not as it was written, so it is not exported. {error}") from error


def _checked_target(workspace: Workspace, out: str) -> Path:
    target = outside(workspace, out)
    clear_killed(target.parent)
    if target.is_dir() and (foreign := _foreign(target)):
        raise ExportError(
            f"{target} holds something that an export would lose: {foreign}. Choose a new folder, or empty this one."
        )
    return target


def _foreign(folder: Path) -> str:
    """The first file of a folder that is not as an export wrote it; empty where the folder may be replaced."""
    names = _names(folder)
    if not names:
        return ""
    try:
        info = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        written = {**info["files"], **info["other_files"]}
        own = info["checksum"] == checksum(info)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        own, written = False, {}
    if not own:
        return names[0]
    others = (name for name in names if name != CONFIG and written.get(name) != file_sha256(folder / name))
    return next(others, "")


def _names(folder: Path) -> list[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(file.as_posix() for file in files if not set(NOT_OURS) & set(file.parts))


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A new folder beside ``target`` that takes its place at the end; what was there goes only after that."""
    aside = beside(target, "old")
    try:
        with writing(target) as part:
            yield part
            if target.exists():
                replace(target, aside)
    finally:
        if aside.exists() and not target.exists():
            replace(aside, target)
        shutil.rmtree(aside, ignore_errors=True)


# --- what is in it -------------------------------------------------------------------------------------------------


def _copy_model(run: Run, info: dict[str, Any], folder: Path, weights: bool) -> dict[str, Any]:
    """Draw how well it does and, with its ``weights``, copy what asks and answers; returns its new ``info``."""
    if has_matrix(run):
        write_matrix(run, folder)
    if not weights:
        return {**info, "files": {}}
    for name in info["files"]:
        shutil.copyfile(run.folder / name, folder / name)
    shutil.copyfile(str(predict.__file__), folder / "predict.py")
    return info


def _sources(workspace: Workspace, run: Run) -> pd.DataFrame:
    predictions = run.predictions()
    trained_on = predictions[predictions["split"] == "train"]["id"]
    images = workspace.store.images()
    return images[images["id"].isin(trained_on)]


# --- pictures the model did not learn from -------------------------------------------------------------------------


def _held_out(workspace: Workspace, run: Run) -> tuple[pd.DataFrame, list[Altered]]:
    """The run's rows of the valid and test splits whose files are as they were imported, with what the store knows of
    them; and those whose files are not.
    """
    predictions = run.predictions()
    rows = predictions[predictions["split"].isin(["valid", "test"])]
    known = workspace.store.images()[["id", "file", "status", "label", "source_provider", "bytes", "added_at"]]
    rows = rows.merge(known.rename(columns={"label": "label_now"}), on="id")
    rows["path"] = [str(workspace.image_file(str(file))) for file in rows["file"]]
    lost = altered(workspace, rows, thorough=True)
    rows = rows[~rows["id"].isin([one.id for one in lost])]
    if rows.empty:
        raise ExportError(
            f"None of the valid and test pictures of {run.id} is in the workspace any more, so the model cannot be "
            "checked. Train again, then export that run."
        )
    return rows.reset_index(drop=True), lost


def _examples(run: Run, rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """One row a class: a picture in use whose label nobody changed; valid before test, recognised before not."""
    usable = rows[(rows["status"] == "ok") & (rows["label"] == rows["label_now"])]
    ranked = usable.assign(wrong=usable["label"] != usable["predicted"]).sort_values(
        ["label", "split", "wrong", "probability"], ascending=[True, False, True, False], kind="stable"
    )
    candidates = ranked.groupby("label").head(CANDIDATES)
    candidates = candidates[candidates["label"].isin(list(candidates["label"].unique())[:count])]
    answers = Classifier.load(run.folder).predict(list(candidates["path"])) if len(candidates) else []
    familiar = candidates.assign(unfamiliar=[answer.unfamiliar for answer in answers])
    return familiar.sort_values(["label", "unfamiliar"], kind="stable").drop_duplicates("label")
