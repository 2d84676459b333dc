"""What publishing on Hugging Face takes, whatever it is: a token that does not show itself, a repository that is
private where that was wished, files that are sent and change it all at once, and every refusal in words.
"""

from __future__ import annotations

import mmap
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from pipeline.errors import DeployError
from pipeline.safe_text import on_one_line, without_token
from pipeline.stage import Progress, Stage

ALONE_BYTES = 1_000_000
MOST_AT_ONCE = 500
REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9]([\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)
TOKENS_PAGE = "https://huggingface.co/settings/tokens"
CREATE_SECONDS = 120.0
COMMIT_ID = re.compile(r"[0-9a-f]{40}")
# As much of the hub's words as is repeated.
WORDS_LENGTH = 300
LEFT_OUT = ("__pycache__", "*.py[co]", "*~", "*.part")
SECRET_FILES = ("*.pem", "*.key", "*.p12", "id_rsa*", "id_ed25519*", "secrets.*", "token", "token.*", "credentials*")
TOKEN_IN_FILE = rb"hf_[A-Za-z0-9]{30,}"


@dataclass(frozen=True)
class Kind:
    """What is published: the hub's word for it and for its ``place``, a person's ``noun``, what they do ``again``, and
    what there is to say where it is too large or is to be paid for.
    """

    repo_type: str
    place: str
    noun: str
    again: str
    message: str
    too_large: str
    payment: str

    def url(self, api: HfApi, repo_id: str) -> str:
        """Where it is."""
        return f"{api.endpoint}/{self.place}/{repo_id}"


# --- before any network ---------------------------------------------------------------------------------------------


class Token(str):
    """A token that does not show itself where its repr is printed."""

    def __repr__(self) -> str:
        return "'hf_…'"


def checked_token(token: str | None) -> Token:
    """The token. Raises DeployError where there is none, or it cannot be one."""
    text = (token or "").strip()
    if not text:
        raise DeployError(
            f"Publishing needs a Hugging Face token. Make one that may write at {TOKENS_PAGE} and give it here: "
            "the environment variable HF_TOKEN on the command line, the token box in the browser."
        )
    if not text.isascii() or not text.isprintable() or " " in text:
        raise DeployError(
            f"This is not a Hugging Face token: it has spaces or odd characters. Copy it from {TOKENS_PAGE}."
        )
    return Token(text)


def checked_repo_id(repo_id: str, noun: str) -> str:
    """The name of a repository. Raises DeployError where the hub would not take it."""
    if not REPO_ID.fullmatch(repo_id) or "--" in repo_id or ".." in repo_id or repo_id.endswith(".git"):
        raise DeployError(
            f"“{without_token(repo_id)}” cannot be the name of a {noun}. Use your Hugging Face user name (or that of "
            "an organisation), a slash and a name made of letters, digits, '-', '_' and '.', for example ann/bears."
        )
    return repo_id


def checked_hub(api: HfApi) -> HfApi:
    """The hub. Raises DeployError where a token would go there unencrypted."""
    address = urlsplit(api.endpoint)
    if address.scheme != "https" and address.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise DeployError(
            f"The hub's address {api.endpoint} is not https, so the token is not sent. Correct HF_ENDPOINT."
        )
    return api


def files_in(root: Path, noun: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """What would be sent (name -> bytes), and what stays here (hidden files, caches). Raises DeployError for links."""
    sizes: dict[str, int] = {}
    left_out: list[str] = []
    for folder, subfolders, files in os.walk(root):
        for path in [Path(folder, name) for name in sorted(subfolders + files)]:
            name = path.relative_to(root).as_posix()
            if _stays_here(path):
                left_out.append(name)
            elif path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise DeployError(f"{name} in the {noun} folder is a link, not a file. Put a copy of the file there.")
            elif path.is_file():
                sizes[name] = path.stat().st_size
        subfolders[:] = [name for name in subfolders if not _stays_here(Path(folder, name))]
    return sizes, tuple(sorted(left_out))


def _stays_here(path: Path) -> bool:
    virtual_environment = path.is_dir() and (path / "pyvenv.cfg").exists()
    return path.name.startswith(".") or virtual_environment or any(path.match(pattern) for pattern in LEFT_OUT)


def refuse_secrets(path: Path, name: str, token: str | None, noun: str, by_name: bool = True) -> None:
    """Raises DeployError for a file that is called (``by_name``) or looks like one that holds a secret."""
    patterns = [TOKEN_IN_FILE] + ([re.escape(token.encode())] if token else [])
    called = by_name and any(path.match(pattern) for pattern in SECRET_FILES)
    if called or _holds(path, b"|".join(patterns)):
        raise DeployError(
            f"{name} in the {noun} folder looks like it holds a password or a token, so nothing was sent. Take it out"
            + ("; a Space gets its secrets on its settings page." if noun == "Space" else ".")
        )


def _holds(path: Path, pattern: bytes) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return re.search(pattern, view) is not None


# --- the repository ------------------------------------------------------------------------------------------------


def create(api: HfApi, repo_id: str, kind: Kind, private: bool | None, token: str, **more: Any) -> Stage[str]:
    """Make the repository, if it is not there; returns its address. ``private`` (None: as the account has it) holds for
    one that is there, too: raises DeployError where that is public.
    """
    url = kind.url(api, repo_id)

    def ask() -> None:
        api.create_repo(repo_id, repo_type=kind.repo_type, private=private, token=token, **more)

    late = (
        f"The hub did not say within {CREATE_SECONDS:.0f} seconds whether it made {repo_id}. Nothing was sent; look at "
        f"{url}, and try again later."
    )
    try:
        yield from within(CREATE_SECONDS, ask, f"Making the {kind.noun}", late)
    except HfHubHTTPError as refused:
        if not api.repo_exists(repo_id, repo_type=kind.repo_type, token=token):
            raise refused from None
        if private and not api.repo_info(repo_id, repo_type=kind.repo_type, token=token).private:
            raise DeployError(
                f"{repo_id} exists already and is public, so nothing was sent. Make it private in its settings "
                f"({url}/settings), or choose another name."
            ) from None
    return url


def within(seconds: float, ask: Callable[[], object], note: str, late: str) -> Stage[None]:
    """Ask the hub, and go on as soon as it has answered: raises what ``ask`` raises, and DeployError with the words
    ``late`` after ``seconds``. The hub's client may wait for ever; so it is asked in a thread, which ends with the
    process.
    """
    answer: Queue[Exception | None] = Queue()

    def wait() -> None:
        try:
            ask()
            answer.put(None)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            answer.put(error)

    Thread(target=wait, daemon=True).start()
    deadline = time.monotonic() + seconds
    while True:
        with suppress(Empty):
            error = answer.get(timeout=min(1.0, seconds / 5))
            if error is not None:
                raise error
            return
        if time.monotonic() > deadline:
            raise DeployError(late)
        yield Progress(0, 0, note)


def send(
    api: HfApi, repo_id: str, kind: Kind, folder: Path, sizes: Mapping[str, int], token: str, total: int
) -> Stage[list[CommitOperationAdd]]:
    """Send what is large of the files (name -> bytes) ahead; returns what is to be committed. What has arrived is not
    sent again.
    """
    done, additions = 0, []
    for names in groups_of(sizes):
        note = f"Sending {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else "")
        yield Progress(done, total, note)
        group = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name) for name in names]
        api.preupload_lfs_files(repo_id, group, token=token, repo_type=kind.repo_type, free_memory=False)
        additions += group
        done += sum(sizes[name] for name in names)
    return additions


def commit(
    api: HfApi,
    repo_id: str,
    kind: Kind,
    operations: Sequence[CommitOperationAdd | CommitOperationDelete],
    token: str,
) -> None:
    """One commit. Raises DeployError where the answer is not that of a hub: it may have changed what is there."""
    try:
        made = api.create_commit(
            repo_id, operations, commit_message=kind.message, token=token, repo_type=kind.repo_type
        )
        known = COMMIT_ID.fullmatch(made.oid) is not None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, HfHubHTTPError) or isinstance(error.__cause__, HfHubHTTPError):
            raise  # it refused
        known = False  # no JSON, or other JSON than a commit's
    if not known:
        raise DeployError(
            f"Hugging Face's answer to the last step cannot be read, so it is not known whether the {kind.noun} "
            f"changed. Look at {kind.url(api, repo_id)}, and {kind.again} again if it did not."
        )


def groups_of(sizes: Mapping[str, int]) -> list[list[str]]:
    """Small files in one go, large ones each alone, so that progress and cancel have steps."""
    small = [name for name, size in sizes.items() if size < ALONE_BYTES]
    large = [[name] for name, size in sizes.items() if size >= ALONE_BYTES]
    small_ones = [small[start : start + MOST_AT_ONCE] for start in range(0, len(small), MOST_AT_ONCE)]
    return [*small_ones, *large]


@contextmanager
def without_bars() -> Iterator[None]:
    """The client's own progress bars off: they would be drawn over ours."""
    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def in_words(error: BaseException, repo_id: str, kind: Kind, token: str) -> str:
    """What happened, and what to do, in a sentence without the token."""
    deepest: BaseException = error
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HfHubHTTPError):
            return _refusal(
                cause.response.status_code, on_one_line(cause.server_message or "", WORDS_LENGTH, token), repo_id, kind
            )
        if isinstance(cause, OfflineModeIsEnabled):
            return (
                "Hugging Face is switched off here: unset the environment variable HF_HUB_OFFLINE and "
                f"{kind.again} again."
            )
        if isinstance(cause, ConnectionError | TimeoutError) or type(cause).__module__.startswith("httpx"):
            broke = on_one_line(str(cause), WORDS_LENGTH, token)
            return (
                f"Hugging Face cannot be reached, or the connection broke ({broke}). Check the network and "
                f"{kind.again} again: what has arrived is not sent twice, and the {kind.noun} changes only when "
                "everything is there."
            )
        deepest, cause = cause, cause.__cause__
    words = on_one_line(str(deepest), WORDS_LENGTH, token)
    stopped = f"Publishing stopped ({type(deepest).__name__}: {words})."
    return f"{stopped} The {kind.noun} was left as it was; {kind.again} again."


def _refusal(status: int, said: str, repo_id: str, kind: Kind) -> str:
    owner = repo_id.split("/")[0]
    words = {
        400: f"Hugging Face does not accept the {kind.noun} as it is. Correct the {kind.noun} folder and {kind.again} "
        "again.",
        401: f"Hugging Face does not know this token. Make a new one that may write at {TOKENS_PAGE}.",
        402: kind.payment,
        403: f"This token may not write to {repo_id}. Make one with write access for {owner} at {TOKENS_PAGE}, "
        "or use a name that begins with your own user name.",
        404: f"Hugging Face knows no {repo_id} that this token may see. Check the name {owner} and the token's rights.",
        409: f"Somebody else is changing {repo_id} at this moment. Wait a minute and {kind.again} again.",
        413: f"Hugging Face finds the {kind.noun} too large. {kind.too_large}",
        429: f"Hugging Face asks for a pause (too many requests). Wait some minutes and {kind.again} again.",
    }
    again = f"{kind.again[0].upper()}{kind.again[1:]} again later."
    fault = f"Hugging Face has a fault of its own at the moment (HTTP {status}). {again}"
    sentence = words.get(status) or (fault if status >= 500 else f"Hugging Face refused (HTTP {status}).")
    return f"{sentence} It said: {said}" if said else sentence
