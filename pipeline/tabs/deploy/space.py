"""What the Deploy tab shows of a Space folder: its files, how it was checked and tested, the ways to put it online."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.deploy.space import SpaceFolder, read_space
from pipeline.deploy.trial import fingerprint
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.tabs.page.show import count, escape, facts, table
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace, writing

# (what the list shows, the kind, what it means for the person)
KINDS = (
    (
        "Gradio app",
        "gradio",
        "A Gradio app that answers on a CPU through ONNX Runtime; programs can ask it too. Hugging Face asks for a "
        "subscription (PRO, Team or Enterprise) before it makes a <b>new</b> one, and refuses with “402” without; "
        "updating one that you have needs none.",
    ),
    (
        "Web page, in the visitor's browser",
        "static",
        "One web page: the model runs in the visitor's own browser, so the picture never leaves their device. "
        "Free, always awake, on a phone too; there is no address that programs could ask.",
    ),
    (
        "Gradio app with a borrowed GPU",
        "zerogpu",
        "A Gradio app on ZeroGPU, through torch, for backbones that are slow on a CPU. A free account may have two, "
        "once it is verified and 30 days old; each visitor has some minutes of GPU a day.",
    ),
)
DEFAULT_KIND = "gradio"


def about(kind: str) -> str:
    """What a kind of Space means for the person, as HTML."""
    words = next((words for _, name, words in KINDS if name == kind), "")
    return f"<p>{words}</p>"


def space_folder(workspace: Workspace, run: Run, kind: str = DEFAULT_KIND) -> Path:
    """Where the Space folder of a run is made."""
    return workspace.exports / f"{run.id}-{kind}-space"


def made(folder: Path) -> SpaceFolder | None:
    """What is in a Space folder; None where there is none. Raises DeployError as :func:`read_space` does."""
    return read_space(folder) if folder.is_dir() else None


def contents(workspace: Workspace, space: SpaceFolder | None) -> str:
    """What is in a Space folder and how it was checked, as HTML; empty where there is none."""
    if space is None:
        return ""
    sizes = space.sizes
    numbers = [("files", f"{len(sizes):,}"), ("to send", f"{sum(sizes.values()) / 1e6:.1f} MB")]
    rows = [(name, _size(size)) for name, size in sizes.items()]
    files = table(("file", "size"), rows, numbers=(1,))
    return facts(numbers) + _parity(workspace, space.folder) + f"<details><summary>Its files</summary>{files}</details>"


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{max(number / 1e3, 0.1):.1f} kB"


def _parity(workspace: Workspace, folder: Path) -> str:
    results = (job.result or {} for job in _done(workspace, StageName.EXPORT, "out", folder))
    parity = next((dict(result["parity"]) for result in results if "parity" in result), None)
    if parity is None:
        return ""
    sentence = (
        f"Checked: a fresh process without Winnow gives the same probabilities on {count(parity['images'], 'picture')} "
        f"(largest difference {parity['max_difference']:.1g})."
    )
    return f'<p class="w-good">{escape(sentence)}</p>'


def _done(workspace: Workspace, stage: str, field: str, folder: Path) -> Iterable[Job]:
    """The jobs of that stage that ended well for ``folder``, newest first."""
    for job in jobs.list_jobs(workspace):
        if job.stage == stage and job.status == "done" and Path(job.config[field]) == folder:
            yield job


def last_trial(workspace: Workspace, space: SpaceFolder) -> Mapping[str, Any] | None:
    """What the last test of a Space folder, as it is now, found; None where it was not tested, or changed since."""
    tried = [
        job.result for job in _done(workspace, StageName.TRY_SPACE, "folder", space.folder) if not job.config["url"]
    ]
    now = fingerprint(space) if tried else ""
    return next((dict(result) for result in tried if result and result["fingerprint"] == now), None)


def proof(found: Mapping[str, Any] | None) -> str:
    """How a test ended, as HTML."""
    if found is None:
        return (
            "<p>Before it goes online, test it: its requirements are installed into a fresh environment, it is started "
            "there, asked about golden pictures, and stopped. That takes some minutes, once.</p>"
        )
    agreed = found["agreed"]
    words = [
        f"Tested: it answers as the model here does on {count(agreed['images'], 'golden picture')} "
        f"(largest difference {agreed['max_difference']:.1g})"
    ]
    if found.get("first_answer_seconds") is not None:
        words.append(f"first answer {found['first_answer_seconds']:.1f} s after its start")
    if found.get("memory_mib") is not None:
        words.append(f"{found['memory_mib']:,.0f} MiB of memory")
    return f'<p class="w-good">{escape("; ".join(words))}.</p>'


def by_hand(folder: Path, kind: str, repo_id: str) -> str:
    """The other ways to put a Space folder online, as commands in HTML."""
    name = repo_id.strip() or "your-name/bears"
    last = name.rpartition("/")[2]
    git = [
        f"git clone https://huggingface.co/spaces/{name}",
        f"cp -r {folder.name}/. {last}/",
        f"cd {last}",
        'git lfs install && git lfs track "*.onnx" "*.safetensors" "*.wasm" "*.jpg" "*.png"',
        "git add . && git commit -m 'Deploy with Winnow' && git push",
    ]
    parts = [("With git, after you made an empty Space and unpacked the zip", git)]
    if kind == "static":
        parts.append(("On any web server, or here", [f"python -m http.server --directory {folder.name} 8000"]))
    else:
        run = f"docker build -t {last} {folder.name} && docker run --rm -p 7860:7860 {last}"
        own = f"cd {folder.name} && pip install -r requirements.txt && python app.py"
        parts += [("With Docker, anywhere", [run]), ("On any machine with Python", [own])]
    return "".join(
        f"<p>{escape(title)}:</p><pre><code>{escape(chr(10).join(lines))}</code></pre>" for title, lines in parts
    )


def zipped(space: SpaceFolder, cache: Path) -> Path:
    """The Space folder as a zip file below ``cache``, made again where the folder is newer."""
    folder = space.folder
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    target = cache / name / f"{folder.name}.zip"
    newest = max(file.stat().st_mtime for file in folder.rglob("*"))
    if not target.exists() or target.stat().st_mtime < newest:
        with writing(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(space.sizes):
                archive.write(folder / file, f"{folder.name}/{file}")
    return target
