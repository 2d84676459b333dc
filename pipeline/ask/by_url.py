"""A picture by its address: fetched within every limit, under the address rule, for one look at it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from pipeline.errors import NetworkError, UsageError
from pipeline.images.formats import EXTENSIONS
from pipeline.predict import Unreadable, open_header
from pipeline.web.addresses import link
from pipeline.web.fetch import Client, FetchLimits
from pipeline.web.responses import NotFetched

FETCH_LIMITS = FetchLimits(total_seconds=20.0, tries=2)
MakeClient: TypeAlias = Callable[[], Client]


def one_picture_client() -> Client:
    """Fetches one picture. A site's wish that nobody trains on it is no reason not to look at it."""
    return Client(FETCH_LIMITS, honour_noai=False)


def fetch_picture(url: str, folder: Path, client: MakeClient = one_picture_client) -> Path:
    """The picture at ``url`` as a file in ``folder``, byte for byte; its name is ours, its ending says what it is.

    Raises UsageError for what is no link, NetworkError where it cannot be had, Unreadable where it is no picture (by
    its header; nothing is decoded here).
    """
    address = url.strip()
    if link(address) is None:
        raise UsageError("This is no link to a picture: links begin with http:// or https://.")

    async def fetched() -> bytes:
        async with client() as fetch:
            return await fetch(address)

    try:
        data = asyncio.run(fetched())
    except NotFetched as trouble:
        raise NetworkError(f"The picture cannot be fetched. {trouble}") from trouble
    kind = open_header(data).format or ""
    if kind not in EXTENSIONS:
        raise Unreadable("unsupported", "It is not a picture in a format that can be read here.")
    file = folder / f"{hashlib.sha256(data).hexdigest()}.{EXTENSIONS[kind]}"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file
