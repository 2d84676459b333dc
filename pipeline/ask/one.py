"""One picture and a run: what the run says about it, which pictures it learnt from are alike, and where it looked."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch

from pipeline.ask.many import asking, loaded
from pipeline.ask.neighbours import Neighbour, nearest
from pipeline.ask.saliency import About, heat, kept_look, look
from pipeline.bounded import LastUsed, forget_old
from pipeline.errors import NetworkError, UsageError
from pipeline.images.formats import EXTENSIONS
from pipeline.images.in_workers import Batch, see_one
from pipeline.predict import (
    BadModel,
    Classifier,
    Prediction,
    Unreadable,
    begins_like,
    forward,
    normalise,
    open_header,
    open_image,
    said_in,
)
from pipeline.web.addresses import link
from pipeline.web.fetch import Client, FetchLimits
from pipeline.web.responses import NotFetched
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace, writing

MODELS_KEPT = 2
KEEP_SECONDS = 86_400
FETCH_LIMITS = FetchLimits(total_seconds=20.0, tries=2)
MakeClient: TypeAlias = Callable[[], Client]


class Models:
    """The networks of the last few runs that were asked, so that a second picture is answered at once. Several threads
    may share it.
    """

    def __init__(self, size: int = MODELS_KEPT) -> None:
        self._kept: LastUsed[Path, Classifier] = LastUsed(size)
        self._looking = threading.Lock()  # a look changes the network for a moment

    def get(self, run: Run) -> Classifier:
        """The classifier of ``run``. Raises RunError where its files were changed."""
        return self._kept.get_or(run.folder, lambda: loaded(run.folder))

    def answer(self, run: Run, picture: str | Path, tta: bool = False) -> Prediction:
        """What ``run`` says about the file ``picture``; ``tta``: as the mean over several views of it.

        The file may come from anybody: it is opened in a process of its own. Raises UsageError where it is no picture,
        RunError where the run's files were changed.
        """
        classifier = self.get(run)
        seen = _seen(classifier, picture)
        with asking():
            return classifier.answers(seen[None], tta)[0]

    def alike(self, workspace: Workspace, run: Run, picture: str | Path) -> tuple[Path, list[Neighbour]]:
        """A copy of the file ``picture`` to look at (re-encoded, without metadata; kept for a day), and the pictures
        most alike to it that the run learnt from, most alike first; none where the run kept no features.

        Errors as in :meth:`answer`.
        """
        classifier = self.get(run)
        forget_old(_asked(workspace).glob("*"), KEEP_SECONDS)
        copy = _asked(workspace) / f"{picture_id(picture)}.jpg"
        batch = torch.from_numpy(_seen(classifier, picture, copy)[None])
        with torch.inference_mode():
            features = forward(classifier.model, normalise(batch.to(classifier.device), classifier.preprocessing))[0]
        return copy, nearest(workspace, run, features[0].float().cpu().numpy())

    def look(self, workspace: Workspace, run: Run, picture: str | Path) -> tuple[Path, About]:
        """Where the network looked when it answered about the file ``picture``: a PNG to lay over it (kept for a day),
        and what it tells.

        Raises UsageError where it is no picture, and RunError, Unreadable or OSError where it cannot be said.
        """
        classifier = self.get(run)
        _seen(classifier, picture)  # it can be opened, and that costs no more than it may
        target = _asked(workspace) / f"{picture_id(picture)}-{uuid.uuid4().hex[:8]}.png"
        with self._looking:
            values, about = look(classifier, open_image(picture, classifier.preprocessing.opening))
        with writing(target, durable=False) as part:
            heat(values).save(part, "PNG")
        return target, about

    def look_at_image(self, workspace: Workspace, run: Run, image_id: str) -> tuple[Path, About]:
        """The same for an image of the workspace; made when first asked for, then kept. Raises StoreError for an
        unknown one, and RunError, Unreadable or OSError where it cannot be said.
        """
        file = str(workspace.store.image(image_id)["file"])
        with self._looking:
            return kept_look(workspace, run, self.get(run), image_id, file)


def about_model(run: Run) -> Mapping[str, Any]:
    """The config.json of a run (no checksum is compared: it is shown), with ``valid``, how many pictures its valid
    split has.
    """
    try:
        info = said_in(run.folder)
    except BadModel:
        info = {}  # asking it will say what is wrong
    return {**info, "valid": run.record.get("counts", {}).get("valid", 0), "set_on": run.record.get("set_on")}


def picture_id(picture: str | Path) -> str:
    """The SHA-256 of the bytes of a file, in hexadecimal digits."""
    with Path(picture).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seen(classifier: Classifier, picture: str | Path, copy: Path | None = None) -> Batch:
    try:
        return see_one(str(picture), classifier.preprocessing, copy)
    except Unreadable as trouble:
        raise UsageError(f"This picture cannot be read. {trouble}") from trouble


def _asked(workspace: Workspace) -> Path:
    return workspace.thumbnails / "asked"


def one_picture_client() -> Client:
    """Fetches one picture. A site's wish that nobody trains on it is no reason not to look at it."""
    return Client(FETCH_LIMITS, honour_noai=False)


def fetch_picture(url: str, folder: Path, client: MakeClient = one_picture_client) -> Path:
    """The picture at ``url`` as a file in ``folder``, byte for byte; its name is ours, its ending says what it is.

    It is fetched within every limit, under the address rule. Raises UsageError for what is no link or no picture (by
    its header; nothing is decoded here), NetworkError where it cannot be had.
    """
    address = url.strip()
    if link(address) is None:
        raise UsageError("This is no link to a picture: links begin with http:// or https://.")

    async def fetched() -> bytes:
        async with client() as fetch:
            return await fetch(address)

    try:
        data = asyncio.run(fetched())
        # HEIC is opened in no process but a worker's
        kind = begins_like(data) if begins_like(data) == "HEIF" else open_header(data).format or ""
        if kind not in EXTENSIONS:
            raise Unreadable("unsupported", "It is not a picture in a format that can be read here.")
    except NotFetched as trouble:
        raise NetworkError(f"The picture cannot be fetched. {trouble}") from trouble
    except Unreadable as trouble:
        raise UsageError(f"This picture cannot be read. {trouble}") from trouble
    file = folder / f"{hashlib.sha256(data).hexdigest()}.{EXTENSIONS[kind]}"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file
