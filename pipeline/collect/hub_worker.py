"""Hugging Face's hub, asked in a process of its own: what a data set holds at a commit, and its files, checked.

The token is the environment's HF_TOKEN and no other; it is handed to the hub's client and to nobody else.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pipeline.collect.entries import MAX_ENTRIES
from pipeline.safe_text import on_one_line

TOKENS_PAGE = "https://huggingface.co/settings/tokens"
PAPERS = ("readme.md", "dataset_info.json", "dataset_infos.json")
CONVERTED = "refs/convert/parquet"
COMMIT = re.compile(r"[0-9a-f]{40}")
AT_ONCE = 4
ANSWER_SECONDS = 15.0
MOST_OF_A_PAPER = 8 << 20
WORDS_LENGTH = 200
OWN_HOSTS = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class HubFile:
    """One file of a data set; ``blob``: git's hash of it, ``sha256``: the other hash where it is a large one."""

    path: str
    size: int
    blob: str
    sha256: str | None = None


@dataclass(frozen=True)
class Listed:
    """What a data set holds at a ``commit``. Its papers lie in a folder of that name."""

    commit: str
    files: tuple[HubFile, ...]
    url: str


@dataclass(frozen=True)
class Problem:
    """What went wrong, in a sentence, and ``missing``: whether there is no such revision."""

    words: str
    missing: bool = False


def listed(_tell: object, repo: str, revision: str | None, place: str) -> Listed | Problem:
    """What ``repo`` holds at a revision, which becomes a commit first: what moves later is not read. Its papers are put
    into ``place``/commit.
    """
    try:
        client = _Client(repo)
        commit, files = client.listing(revision)
        papers = [one for one in files if one.path.lower() in PAPERS and one.size <= MOST_OF_A_PAPER]
        for one in papers:
            client.fetch(commit, one, Path(place) / commit)
    except Exception as error:  # noqa: BLE001 - the one boundary: whatever the hub's client raises is put into words
        return _problem(error, repo, revision)
    return Listed(commit, tuple(files), client.url)


def fetched(
    tell: Callable[[int], None], repo: str, commit: str, files: Sequence[HubFile], folder: str
) -> Problem | int:
    """Fetch the files that are not there yet, and check each; how many bytes are whole is told after each one."""
    try:
        client = _Client(repo)
        done = 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = [pool.submit(client.fetch, commit, one, Path(folder)) for one in files]
            try:
                for one in as_completed(waiting):
                    done += one.result()
                    tell(done)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
    except Exception as error:  # noqa: BLE001 - the one boundary: whatever the hub's client raises is put into words
        return _problem(error, repo, commit)
    shutil.rmtree(Path(folder) / ".cache", ignore_errors=True)
    return done


class _Unfit(Exception):
    """What the hub said or sent is not what it has to be; the words say so."""


class _Client:
    """The hub's own client for one data set."""

    def __init__(self, repo: str) -> None:
        os.environ.update(
            HF_HUB_DISABLE_XET="1",  # plain HTTP: what has come can be seen, and goes on after a break
            HF_HUB_DISABLE_PROGRESS_BARS="1",
            HF_HUB_DISABLE_TELEMETRY="1",
            HF_HUB_DISABLE_IMPLICIT_TOKEN="1",
        )
        from huggingface_hub import HfApi

        self.repo = repo
        self.token = os.environ.get("HF_TOKEN", "").strip() or False
        self.api = HfApi(token=self.token)
        address = urlsplit(self.api.endpoint)
        if self.token and address.scheme != "https" and address.hostname not in OWN_HOSTS:
            raise _Unfit(
                f"The hub's address {self.api.endpoint} is not https, so HF_TOKEN is not sent. Correct HF_ENDPOINT."
            )
        self.url = f"{self.api.endpoint}/datasets/{repo}"

    def listing(self, revision: str | None) -> tuple[str, list[HubFile]]:
        """(the commit that the revision is now, its files)."""
        info = self.api.dataset_info(self.repo, revision=revision, timeout=ANSWER_SECONDS)
        commit = str(info.sha)
        if COMMIT.fullmatch(commit) is None:
            raise _Unfit("Hugging Face's answer cannot be read: it names no commit. Try again later.")
        return commit, list(self._files(commit))

    def _files(self, commit: str) -> Iterator[HubFile]:
        from huggingface_hub.hf_api import RepoFile

        tree = self.api.list_repo_tree(self.repo, recursive=True, revision=commit, repo_type="dataset")
        for count, one in enumerate(tree):
            if count > MAX_ENTRIES:
                raise _Unfit(f"{self.repo} has more than {MAX_ENTRIES:,} files. Fetch a part of it yourself.")
            if (
                not isinstance(one, RepoFile)
                or not isinstance(one.size, int)
                or one.size < 0
                or not _is_plain(one.path)
            ):
                continue
            yield HubFile(one.path, one.size, str(one.blob_id), str(one.lfs.sha256) if one.lfs is not None else None)

    def fetch(self, commit: str, file: HubFile, folder: Path) -> int:
        """Its size, when it is in the folder as it has to be."""
        from huggingface_hub import hf_hub_download

        target = folder / file.path
        if _is_whole(target, file):
            return file.size
        target.unlink(missing_ok=True)
        hf_hub_download(
            self.repo,
            file.path,
            repo_type="dataset",
            revision=commit,
            local_dir=folder,
            token=self.token,
            endpoint=self.api.endpoint,
            etag_timeout=ANSWER_SECONDS,
        )
        if not _is_whole(target, file):
            target.unlink(missing_ok=True)
            raise _Unfit(
                f"What came as {on_one_line(file.path, WORDS_LENGTH)} of {self.repo} is another file than Hugging Face "
                "lists. Import again: what is whole is kept."
            )
        return file.size


def _is_plain(path: str) -> bool:
    """Whether a path stays below the folder it is put into, on every system."""
    parts = PurePosixPath(path).parts
    odd = "\\" in path or ":" in path or "\0" in path or not path.isprintable()
    return bool(parts) and not odd and not path.startswith("/") and not {"..", ".cache"} & set(parts)


def _is_whole(target: Path, file: HubFile) -> bool:
    if target.is_symlink() or not target.is_file() or target.stat().st_size != file.size:
        return False
    if file.sha256 is None:
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    else:
        digest = hashlib.sha256()
    with target.open("rb") as opened:
        while data := opened.read(1 << 20):
            digest.update(data)
    return digest.hexdigest() == (file.sha256 or file.blob)


# --- what went wrong ----------------------------------------------------------------------------------------------


def _problem(error: BaseException, repo: str, revision: str | None) -> Problem:
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    token = os.environ.get("HF_TOKEN", "")
    page = f"https://huggingface.co/datasets/{repo}"
    chain = list(_causes(error))
    for one in chain:
        if isinstance(one, _Unfit):
            return Problem(str(one))
        if isinstance(one, GatedRepoError):
            return Problem(
                f"{repo} is for people who agreed to its terms. Agree to them at {page}, and set the environment "
                f"variable HF_TOKEN to a token of that account ({TOKENS_PAGE})."
            )
        if isinstance(one, RevisionNotFoundError):
            return Problem(f"{repo} has no revision '{revision}'. Those it has are at {page}/tree/main.", missing=True)
        if isinstance(one, RepositoryNotFoundError):
            return Problem(
                f"Hugging Face knows no data set {repo}; or it is private, and HF_TOKEN is not set to a token that may "
                f"read it. Look for its name at https://huggingface.co/datasets."
            )
        if isinstance(one, HfHubHTTPError):
            return Problem(
                _refusal(one.response.status_code, repo, on_one_line(one.server_message or "", WORDS_LENGTH, token))
            )
        if isinstance(one, OfflineModeIsEnabled):
            return Problem(
                "Hugging Face is switched off here: unset the environment variable HF_HUB_OFFLINE, and import again."
            )
        if getattr(one, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return Problem(
                "The disk of the workspace is full. Free some space, and import again: what is whole is kept."
            )
    for one in chain:
        if isinstance(one, ConnectionError | TimeoutError) or type(one).__module__.startswith("http"):
            said = on_one_line(str(one), WORDS_LENGTH, token)
            return Problem(
                f"Hugging Face cannot be reached, or the connection broke ({said or type(one).__name__}). Check the "
                "network and import again: what has come is kept."
            )
    words = on_one_line(str(error), WORDS_LENGTH, token)
    return Problem(f"{repo} cannot be fetched ({type(error).__name__}: {words}). Import again: what has come is kept.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it came from, and what that came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _refusal(status: int, repo: str, said: str) -> str:
    words = {
        401: f"Hugging Face does not know the token in HF_TOKEN. Make a new one at {TOKENS_PAGE}, or unset it.",
        403: f"The token in HF_TOKEN may not read {repo}. Make one that may at {TOKENS_PAGE}.",
        404: f"A file of {repo} is not there any more. Import again.",
        429: "Hugging Face asks for a pause (too many requests). Import again in some minutes: what came is kept.",
    }
    fault = f"Hugging Face has a fault of its own at the moment (HTTP {status}). Import again later."
    sentence = words.get(status) or (fault if status >= 500 else f"Hugging Face refused (HTTP {status}).")
    return f"{sentence} It said: {said}" if said else sentence
