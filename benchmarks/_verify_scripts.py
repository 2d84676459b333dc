"""What each contender of benchmarks/verify.py runs: fastai, cleanvision, imagededup, and ours."""

from __future__ import annotations

READ = """
import os
from pathlib import Path
folder, scratch = Path(sys.argv[1]), Path(sys.argv[2])
for file in folder.rglob("*.*"):
    file.read_bytes()
"""
# A contender that cannot say which files it stumbled over is asked about one kind at a time.
BY_KIND = """
def by_kind(broken):
    answer = {}
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(kind.iterdir())
        try:
            answer[kind.name] = [len(broken(kind, files)), len(files)]
        except Exception as error:
            answer[kind.name] = ["stops", len(files)]
    return answer
"""
FASTAI = READ + "from fastai.vision.utils import get_image_files, resize_images, verify_images\n"
CLEANVISION = READ + "from cleanvision import Imagelab\n"
IMAGEDEDUP = READ + "from imagededup.methods import PHash\n"
OURS_READ = (
    """
if __name__ != "__main__":
    raise SystemExit  # a worker process needs nothing of this
"""
    + READ
)

PEERS = (
    "fastai", "cleanvision", "imagededup", "fastai verify_images", "fastai resize_images", "imagededup PHash",
    "cleanvision all issues", "cleanvision near + exact",
)  # fmt: skip
OURS = ("ours: check", "ours: verify", "ours: decode, hash and group", "ours: group what is hashed")
