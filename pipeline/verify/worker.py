"""What a worker process of Verify does with one file; imports neither pandas nor torch, so that it starts quickly."""

from __future__ import annotations

from pathlib import Path

from pipeline.images.decode import (
    Checked,
    Fingerprint,
    check,
    examine,
    fingerprint,
    save_thumbnail,
    squished,
    unsquished,
)
from pipeline.images.pixel_cache import PixelCache
from pipeline.images.quality import quality
from pipeline.workspace.records import Verdict


def examine_file(job: tuple[str, Path, Path], cache: PixelCache | None) -> Verdict:
    """One read, one decode of a job (image id, file, where its thumbnail goes): verdict, thumbnail, fingerprint, scores
    and the row of the training cache come from it.
    """
    image_id, file, thumbnail = job
    try:
        data = file.read_bytes()
    except OSError as error:
        return Verdict(image_id, "set_aside", "empty", f"The file cannot be read: {error.strerror}.")
    checked, image = examine(data)
    if image is None:
        return _verdict(image_id, checked)
    square = squished(image)
    small = unsquished(square, image)
    save_thumbnail(small, thumbnail)
    if cache is not None:
        cache.add(image_id, image, square)
    return _verdict(image_id, checked, fingerprint(image), quality(small).to_json())


def _verdict(image_id: str, checked: Checked, print_: Fingerprint | None = None, scores: str | None = None) -> Verdict:
    return Verdict(
        image_id,
        "ok" if checked.usable else "set_aside",
        checked.verdict,
        checked.reason,
        checked.width,
        checked.height,
        checked.format,
        print_.pixels if print_ else None,
        print_.phash if print_ else None,
        print_.tiny if print_ else None,
        scores,
    )


def check_file(path: str) -> Checked:
    """The verdict on a file, by a full decode."""
    try:
        return check(Path(path).read_bytes())
    except OSError as error:
        return Checked("empty", f"The file cannot be read: {error.strerror}.")
