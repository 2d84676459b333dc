"""What a worker process of Verify does with one file; imports neither pandas nor torch, so that it starts quickly."""

from __future__ import annotations

import hashlib
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
from pipeline.images.opening import scale_for, scored
from pipeline.images.pixel_cache import PixelCache
from pipeline.images.quality import quality
from pipeline.predict import Opening
from pipeline.workspace.records import Verdict


def examine_file(job: tuple[str, Path, Path], cache: PixelCache | None, opening: Opening) -> Verdict:
    """One read, one decode of a job (image id, file, where its thumbnail goes): verdict, thumbnail, fingerprint, scores
    and the row of the training cache come from it; no row of a picture of many bits whose scale is not known yet.
    """
    image_id, file, thumbnail = job
    try:
        data = file.read_bytes()
    except OSError as error:
        return Verdict(image_id, "set_aside", "empty", f"The file cannot be read: {error.strerror}.")
    if hashlib.sha256(data).hexdigest() != image_id:
        reason = f"Its file was changed after it was imported ({len(data):,} bytes now): put the right one back."
        return Verdict(image_id, "set_aside", "corrupt", reason)
    checked, image = examine(data, opening)
    if image is None:
        return _verdict(image_id, checked)
    square = squished(image)
    small = unsquished(square, image)
    save_thumbnail(small, thumbnail)
    if cache is not None and (checked.values is None or scale_for(checked.values, opening)):
        cache.add(image_id, image, square)
    scores = scored(quality(small).rounded(), checked.format, checked.values, opening)
    return _verdict(image_id, checked, fingerprint(image), scores)


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
        checked.taken.time,
        checked.taken.camera,
    )


def check_file(path: str, opening: Opening) -> Checked:
    """The verdict on a file, by a full decode."""
    try:
        return check(Path(path).read_bytes(), opening)
    except OSError as error:
        return Checked("empty", f"The file cannot be read: {error.strerror}.")
