"""Makes data/old_workspace.zip and .json: a workspace as commit c3c2b2a leaves it, and what is in it.

    python -m tests.support.make_old_workspace

Run it in the working tree of c3c2b2a only, put there under tests/support (Winnow 0.1.0 before its modules were moved):
whatever it writes with a newer version is no old workspace any more. Everything is done by that version's own stages,
most of them as jobs; what stops, stops because it was cancelled or killed. Nothing in the workspace is edited by hand.
Left out of the zip are thumbnails of images and decoded pixels, which are made again where they are missing.

The pictures are of the starter set (MIT, see its folder). The network is timm's smallest with weights that were drawn
at random and rounded, so that they pack well; they come with the zip as a cache of the Hugging Face hub.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import timm
import torch
from cleaner.classes import rename
from cleaner.decisions import decide_each, keep, relabel, remove, restore, undo, wish
from cleaner.replay import export_decisions
from PIL import Image
from pipeline.candidates import Page, Query, candidate
from pipeline.download import DownloadConfig, download
from pipeline.export import ExportConfig, export
from pipeline.importing import ImportConfig, import_images
from pipeline.lr_finder import LrFindConfig, find_lr
from pipeline.predict_many import SMALL, PredictConfig, predict_many
from pipeline.providers import Provider
from pipeline.runs import Run, describe, list_runs
from pipeline.starter_set import write_starter
from pipeline.tabs.job_view import History, headline
from pipeline.trial import TrialConfig, try_space
from safetensors.torch import save_file

import cli
from pipeline import jobs
from pipeline.dataset import DatasetConfig, export_dataset
from pipeline.jobs import Job, StageFunction
from pipeline.predict import Classifier
from pipeline.search import SearchConfig, search
from pipeline.stage import run
from pipeline.train import TrainConfig, train
from pipeline.verify import VerifyConfig, verify
from pipeline.workspace import Workspace
from tests.site import Site, reply, running

COMMIT = "c3c2b2a"
DATA = Path(__file__).parents[1] / "data"
PROJECT = Path("/tmp/project")
CLASSES = ("apple", "melon", "pear")
PER_CLASS, SIDE, QUALITY = 12, 112, 80
BACKBONE = "test_efficientnet_ln"
SETTINGS: dict[str, Any] = {"backbone": BACKBONE, "image_size": 64, "batch_size": 4, "device": "cpu"}
EPOCHS = 8
LONG = 300.0
CENTURY = 24.0 * 365 * 100
PACKS_BETTER = (".pt", ".safetensors", ".sqlite")


def main() -> None:
    """Make both files."""
    if PROJECT.exists():
        raise SystemExit(f"{PROJECT} exists already. Move it away first.")
    (PROJECT / "tmp").mkdir(parents=True)
    os.environ |= {"HF_HOME": str(PROJECT / "huggingface"), "HF_HUB_OFFLINE": "1", "TMPDIR": str(PROJECT / "tmp")}
    write_weights(PROJECT / "huggingface")
    workspace = Workspace.create(PROJECT / "fruit")
    with running() as site:
        collect(workspace, site)
    check(workspace)
    first_decisions(workspace)
    learn(workspace)
    last_decisions(workspace)
    marks = stop_trainings(workspace)
    told = {**expected(workspace), **marks}
    pack(workspace)
    text = json.dumps(told, indent=1, ensure_ascii=False, default=str)
    (DATA / "old_workspace.json").write_text(text + "\n", encoding="utf-8")


# --- what a person did, in their order -----------------------------------------------------------------------------


def write_weights(hub: Path) -> None:
    """The "pretrained" weights, where timm finds them without a network."""
    torch.manual_seed(0)
    state = timm.create_model(BACKBONE, num_classes=0).state_dict()
    rounded = {name: _rounded(tensor) for name, tensor in state.items()}
    repo = timm.models.get_pretrained_cfg(BACKBONE).hf_hub_id
    folder = hub / "hub" / f"models--{repo.replace('/', '--')}"
    snapshot = "0" * 40
    (folder / "snapshots" / snapshot).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(snapshot, encoding="utf-8")
    save_file(rounded, folder / "snapshots" / snapshot / "model.safetensors")


def _rounded(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.ndim < 2:
        return tensor.contiguous()
    step = tensor.std() / 2
    return ((tensor / step).round() * step).contiguous()


def photographs(folder: Path) -> Path:
    """Class folders of small pictures: one twice, one in another size, one cut off, and a text."""
    starter = write_starter(PROJECT / "starter")
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for file in sorted((starter / name).iterdir())[:: len(CLASSES)][:PER_CLASS]:
            with Image.open(file) as picture:
                picture.thumbnail((SIDE, SIDE))
                picture.save(folder / name / file.name, quality=QUALITY)
    twice, resized, cut = (sorted((folder / "pear").iterdir())[number] for number in range(3))
    shutil.copy(twice, folder / "pear" / "the_same_again.jpg")
    with Image.open(resized) as picture:
        picture.resize((SIDE - 16, SIDE - 16)).save(folder / "melon" / "a_pear_among_melons.jpg", quality=70)
    (folder / "apple" / "cut_off.jpg").write_bytes(cut.read_bytes()[:-900])
    (folder / "apple" / "notes.txt").write_text("Not a picture.", encoding="utf-8")
    return folder


def collect(workspace: Workspace, site: Site) -> None:
    """An import that fails, one that is done, a search, a download that is done and one that is cancelled."""
    folder = photographs(PROJECT / "photographs")
    ends("failed", workspace, import_images, ImportConfig(str(PROJECT / "no such folder")))
    ends("done", workspace, import_images, ImportConfig(str(folder)))
    spare = sorted((PROJECT / "starter" / "apple").iterdir())[1:3]
    for number, file in enumerate(spare):
        with Image.open(file) as picture, io.BytesIO() as small:
            picture.thumbnail((SIDE, SIDE))
            picture.save(small, "JPEG", quality=QUALITY)
            site.pages[f"/{number}.jpg"] = reply(small.getvalue(), "Content-Type: image/jpeg")
    site.pages["/slow.jpg"] = lambda _connection, _count: time.sleep(60)
    address = f"http://{site.host}"
    names = {"red apple": ("0.jpg", "1.jpg", "gone.jpg"), "green pear": ("slow.jpg",)}

    def ask(query: Query) -> Page:
        found = [
            candidate(
                "openverse", query, f"{address}/{name}", title=f"A {query.phrase}", licence="CC0 1.0", creator="Nobody"
            )
            for name in names[query.phrase]
        ]
        return Page(tuple(one for one in found if one))

    config = SearchConfig(
        (("apple", "red apple"), ("pear", "green pear")), 10, ("openverse",), keep_hours=CENTURY, safesearch=False
    )
    scratch = Workspace.create(PROJECT / "scratch")  # the answers are kept: the job below finds them there
    run(search(scratch, config, {"openverse": Provider("openverse", "Openverse", ask, seconds_between=0.0)}))
    shutil.copytree(scratch.cache / "search", workspace.cache / "search")
    ends("done", workspace, search, config)
    only = tuple((f"{address}/{name}", "apple") for name in names["red apple"])
    ends("done", workspace, download, DownloadConfig(only=only, allow_hosts=(site.host,)))
    slow = jobs.start(workspace, download, DownloadConfig(allow_hosts=(site.host,)))
    until(lambda: "/slow.jpg" in site.hits)
    jobs.cancel(workspace, slow.id)
    ended("cancelled", workspace, slow)


def check(workspace: Workspace) -> None:
    """A verify whose process is killed, and the one that goes on from there."""
    killed = jobs.start(workspace, verify, VerifyConfig(workers=1, accept_broken=True))
    until(lambda: bool(killed.events()))
    kill(killed)
    ended("interrupted", workspace, killed)
    ended("done", workspace, jobs.resume(workspace, killed.id))


def first_decisions(workspace: Workspace) -> None:
    """Each kind of decision, one of them undone, and two made in one go; one kind of problem ignored for a picture."""
    rows = workspace.store.images("ok")
    ids = [str(image) for image in rows[rows["label"] == "apple"]["id"]]
    keep(workspace, ids[0])
    relabel(workspace, ids[1], "pear")
    remove(workspace, ids[2])
    relabel(workspace, ids[3], "melon")
    undo(workspace)
    remove(workspace, ids[4])
    restore(workspace, ids[4])
    decide_each(workspace, [wish("keep", image) for image in ids[5:7]])
    rename(workspace, "melon", "honeydew melon")
    workspace.store.ignore("odd_size", ids[:1])


def learn(workspace: Workspace) -> None:
    """Two runs, a range test, and what is asked of a run and made of it."""
    ends("done", workspace, train, TrainConfig(**SETTINGS, layers="head", note="the head alone"))
    (first,) = list_runs(workspace)
    describe(workspace, first.id, "First try", "Nothing was cleaned yet.")
    ends("done", workspace, train, TrainConfig(**SETTINGS, head="sigmoid", epochs=1))
    ends("done", workspace, find_lr, LrFindConfig(**SETTINGS, steps=20))
    ends("done", workspace, predict_many, PredictConfig((str(PROJECT / "photographs" / "pear"),), first.id, tta=True))
    out = workspace.exports / f"{first.id}-zerogpu-space"
    ends("done", workspace, export, ExportConfig(first.id, str(out), space=True, kind="zerogpu"))
    ends("failed", workspace, try_space, TrialConfig(str(PROJECT / "no such space")))
    ends("done", workspace, export_dataset, DatasetConfig(str(PROJECT / "cleaned"), "metadata"))


def last_decisions(workspace: Workspace) -> None:
    """After the runs; the last one takes a picture out of use."""
    rows = workspace.store.images("ok")
    ids = [str(image) for image in rows[rows["label"] == "pear"]["id"]]
    keep(workspace, ids[0])
    remove(workspace, ids[1])


def stop_trainings(workspace: Workspace) -> dict[str, Any]:
    """A training that is cancelled and one that is killed, both after an epoch or two: their checkpoints stay."""

    def stop(name: str, how: Callable[[Job], Any], status: str) -> str:
        job = jobs.start(workspace, train, config)
        until(lambda: [file.name for file in states(workspace) - known] not in ([], ["epoch-0.pt"]))
        until(lambda: len(states(workspace) - known) == 1)
        how(job)
        ended(status, workspace, job)
        print(name, [checkpoint.name for checkpoint in states(workspace) - known])
        return job.id

    known = states(workspace)
    config = TrainConfig(**SETTINGS, layers="gradual", epochs=EPOCHS, seed=1, note="too slow")
    cancelled = stop("cancelled", lambda job: jobs.cancel(workspace, job.id), "cancelled")
    known = states(workspace)
    config = TrainConfig(**SETTINGS, layers="gradual", epochs=EPOCHS, seed=2)
    killed = stop("killed", kill, "interrupted")
    (file,) = states(workspace) - known
    state = torch.load(file, map_location="cpu", weights_only=True)
    half_done = {"job": killed, "checkpoint": file.relative_to(workspace.root).as_posix(), "epochs": state["epochs"]}
    return {"half_done": half_done, "stopped": cancelled}


def states(workspace: Workspace) -> set[Path]:
    return set(workspace.checkpoints.glob("*/epoch-*.pt"))


# --- jobs ----------------------------------------------------------------------------------------------------------


def ends(status: str, workspace: Workspace, stage: StageFunction, config: Any) -> Job:
    """The job of a stage once it has ended as it should."""
    return ended(status, workspace, jobs.start(workspace, stage, config))


def ended(status: str, workspace: Workspace, job: Job) -> Job:
    job = jobs.wait_for(workspace, job.id, LONG)
    print(job.stage, job.status, job.note)
    if job.status != status:
        raise SystemExit(f"This should be {status}. Run it again, in a new folder.")
    return job


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("It never happened.")
        time.sleep(0.002)


def kill(job: Job) -> None:
    """With all its processes, at once."""
    process = psutil.Process(json.loads((job.folder / "process.json").read_text(encoding="utf-8"))["pid"])
    process.suspend()
    for one in (*process.children(recursive=True), process):
        one.kill()


# --- what is in it -------------------------------------------------------------------------------------------------


def expected(workspace: Workspace) -> dict[str, Any]:
    """What this version says of the workspace."""
    store = workspace.store
    return {
        "made_with": {"commit": COMMIT, **{name: version(name) for name in ("torch", "timm")}},
        "root": str(workspace.root),
        "images": store.images().to_dict("records"),
        "sources": store.sources().to_dict("records"),
        "candidates": store.candidates().to_dict("records"),
        "groups": store.groups(),
        "label_counts": store.label_counts(),
        "ignored": {kind: sorted(images) for kind, images in store.ignored().items()},
        "decisions": [asdict(decision) for decision in store.decisions()],
        "jobs": [told_of(job) for job in jobs.list_jobs(workspace)],
        "runs": [told_by(workspace, run) for run in list_runs(workspace)],
        "commands": {name: printed(name, workspace) for name in ("images", "decisions", "jobs")},
        **of_a_copy(workspace),
    }


def told_of(job: Job) -> dict[str, Any]:
    history = History()
    history.add(job.events())
    target = json.loads((job.folder / "job.json").read_text(encoding="utf-8"))["target"]
    names = ("id", "stage", "config", "started", "status", "done", "total", "note", "cancelling", "result")
    facts = {name: getattr(job, name) for name in names}
    return {**facts, "target": target, "events": len(job.events()), "headline": headline(job, history)}


def told_by(workspace: Workspace, run: Run) -> dict[str, Any]:
    rows = workspace.store.images("ok").head(10).to_dict("records")
    files = [workspace.image_file(str(row["file"])) for row in rows]
    answers = {
        tta: {row["id"]: one.probabilities for row, one in zip(rows, found, strict=True)}
        for tta, found in (("once", run_on(run, files, False)), ("tta", run_on(run, files, True)))
    }
    return {"record": run.record, "name": run.name, "note": run.note, "answers": answers}


def run_on(run: Run, files: list[Path], tta: bool) -> list[Any]:
    return Classifier.load(run.folder).predict(files, tta)


def printed(command: str, workspace: Workspace) -> Any:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        cli.main([command, str(workspace.root), "--json"])
    return json.loads(out.getvalue())


def of_a_copy(workspace: Workspace) -> dict[str, Any]:
    """What becomes of the workspace by an undo, and what it writes: tried on a copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Workspace.open(shutil.copytree(workspace.root, Path(folder) / "copy"))
        export_decisions(copy, Path(folder) / "decisions.csv")
        table = (Path(folder) / "decisions.csv").read_text(encoding="utf-8")
        run(export_dataset(copy, DatasetConfig(str(Path(folder) / "cleaned"))))
        cleaned = sorted(
            file.relative_to(Path(folder) / "cleaned").as_posix() for file in (Path(folder) / "cleaned").rglob("*.*")
        )
        taken_back = [asdict(decision) for decision in undo(copy)]
        after = copy.store.image(taken_back[0]["image"])
    return {"decisions_csv": table, "dataset": cleaned, "undo": {"decisions": taken_back, "image": after}}


def pack(workspace: Workspace) -> None:
    """The workspace and the hub's cache as a zip file."""
    with zipfile.ZipFile(DATA / "old_workspace.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for folder in (workspace.root, PROJECT / "huggingface"):
            for path in sorted(folder.rglob("*")):
                inside = path.relative_to(folder)
                if path.is_file() and not made_again(inside):
                    how = zipfile.ZIP_LZMA if path.suffix in PACKS_BETTER else zipfile.ZIP_DEFLATED
                    archive.write(path, f"{folder.name}/{inside.as_posix()}", how)


def made_again(file: Path) -> bool:
    """Whether it is a thumbnail of an image, or decoded pixels."""
    room, *inside = file.parts
    return (room == "thumbnails" and inside[0] != SMALL) or (room == "cache" and inside[0].startswith("pixels"))


if __name__ == "__main__":
    main()
