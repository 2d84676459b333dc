"""What each contender of benchmarks/verify.py runs: fastai, cleanvision, imagededup, and ours."""

from __future__ import annotations

from textwrap import indent

READ = """
from pathlib import Path
folder, scratch = Path(sys.argv[1]), Path(sys.argv[2])
for file in folder.rglob("*.*"):
    file.read_bytes()
"""
BY_KIND = """
def by_kind(broken):
    answer = {}
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(kind.iterdir())
        try:
            answer[kind.name] = [broken(kind, files), len(files)]
        except Exception:  # it does not say which file it was
            answer[kind.name] = ["stops", len(files)]
    return answer
"""
FASTAI = READ + "from fastai.vision.utils import get_image_files, resize_images, verify_images\n"
CLEANVISION = READ + "from cleanvision import Imagelab\n"
IMAGEDEDUP = READ + "from imagededup.methods import PHash\n"


def _ours(imports: str, work: str, functions: str = "") -> str:
    """A script of which a worker process, which imports it, runs ``functions`` alone."""
    return f"{functions}\nif __name__ == '__main__':\n" + indent(READ + imports + work, "    ")


CHECK = "from pipeline.stage import run\nfrom pipeline.verify.verify import check_files\n"
LOOK = """
from pathlib import Path
import numpy as np
from PIL import Image
from pipeline.images.decode import examine, fingerprint, squished
from pipeline.verify.close_look import VIEW
def look(path):
    checked, image = examine(Path(path).read_bytes())
    return fingerprint(image), image.size, np.asarray(squished(image).resize((VIEW, VIEW), Image.Resampling.BOX))
"""
HASHING = """
import numpy as np, pandas as pd
from pipeline.verify.duplicates import group_duplicates
from pipeline.images.sandbox import map_in_workers
def hashed():
    files = sorted(map(str, folder.iterdir()))
    prints = dict(map_in_workers(look, files, lambda path, why: None, ahead=8))
    told = ["id", "pixels", "phash", "width", "height", "verdict", "bytes", "added_at"]
    rows = pd.DataFrame(
        [(Path(path).stem, seen.pixels, seen.phash, *size, "ok", 0, "") for path, (seen, size, _) in prints.items()]
    ).set_axis(told, axis=1)
    tiny = {Path(path).stem: np.frombuffer(seen.tiny, dtype=np.uint8) for path, (seen, _, _) in prints.items()}
    view = {Path(path).stem: (pixels, min(size)) for path, (_, size, pixels) in prints.items()}
    def views(ids):
        return np.stack([view[image][0] for image in ids]), np.array([view[image][1] for image in ids])
    return rows, lambda ids: np.stack([tiny[image] for image in ids]), views
def grouped(rows, miniatures, views):
    found = {}
    for image, group in group_duplicates(rows, miniatures, views, {}).groups.items():
        found.setdefault(group, []).append(image)
    return [group for group in found.values() if len(group) > 1]
"""

FINDING = {
    "ours": _ours(
        CHECK,
        """
def work():
    answer = {}
    for path, checked in run(check_files([str(folder)])):
        kind = answer.setdefault(Path(path).parent.name, [0, 0])
        kind[0] += checked.verdict != "ok"
        kind[1] += 1
    return answer
timed(work)
""",
    ),
    "fastai": FASTAI + BY_KIND + "timed(lambda: by_kind(lambda kind, files: len(verify_images(files))))",
    "cleanvision": CLEANVISION
    + BY_KIND
    + """
def broken(kind, files):
    lab = Imagelab(data_path=str(kind))
    lab.find_issues(verbose=False)
    return len(files) - len(lab.issues)
timed(lambda: by_kind(broken))
""",
    "imagededup": IMAGEDEDUP
    + BY_KIND
    + """
def broken(kind, files):
    return len(files) - sum(bool(code) for code in PHash(verbose=False).encode_images(image_dir=kind).values())
timed(lambda: by_kind(broken))
""",
}
VERDICTS = {
    "ours: check": _ours(CHECK, "timed(lambda: len(run(check_files([str(folder)]))))"),
    "fastai verify_images": FASTAI + "timed(lambda: len(verify_images(get_image_files(folder))))",
}
PASSES = {
    "ours: verify": _ours(
        """
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.stage import run
from pipeline.verify.verify import verify
from pipeline.workspace.workspace import Workspace
""",
        """
workspace = Workspace.create(scratch / "workspace")
run(import_images(workspace, ImportConfig(str(folder), label="picture")))
timed(lambda: run(verify(workspace)).ok)
""",
    ),
    "fastai verify_images": VERDICTS["fastai verify_images"],
    "fastai resize_images": FASTAI + "timed(lambda: resize_images(folder, max_size=256, dest=scratch / 'small'))",
    "imagededup PHash": IMAGEDEDUP + "timed(lambda: len(PHash(verbose=False).find_duplicates(image_dir=folder)))",
    "cleanvision all issues": CLEANVISION
    + """
def work():
    lab = Imagelab(data_path=str(folder))
    lab.find_issues(verbose=False)
    return len(lab.issues)
timed(work)
""",
}
DUPLICATES = {
    "ours: decode, hash and group": _ours(HASHING, "timed(lambda: grouped(*hashed()))", LOOK),
    "ours: group what is hashed": _ours(HASHING, "known = hashed()\ntimed(lambda: grouped(*known))", LOOK),
    "imagededup PHash": IMAGEDEDUP
    + """
def work():
    found = PHash(verbose=False).find_duplicates(image_dir=folder)
    return [[Path(name).stem, Path(other).stem] for name, others in found.items() for other in others]
timed(work)
""",
    "cleanvision near + exact": CLEANVISION
    + """
def work():
    lab = Imagelab(data_path=str(folder))
    lab.find_issues({"near_duplicates": {}, "exact_duplicates": {}}, verbose=False)
    return [
        [Path(file).stem for file in group]
        for kind in ("near_duplicates", "exact_duplicates")
        for group in lab.info[kind]["sets"]
    ]
timed(work)
""",
}
PEERS = {name for part in (FINDING, VERDICTS, PASSES, DUPLICATES) for name in part if not name.startswith("ours")}
