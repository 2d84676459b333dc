"""A Space folder -> Hugging Face: checked here first, sent with the person's token, published in one commit,
and followed until it runs, or does not: its stage and the end of its log, as the hub says.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, Queue
from threading import Thread
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, SpaceHardware
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from pipeline.deploy.space import SpaceFolder, read_space
from pipeline.errors import DeployError
from pipeline.safe_text import on_one_line, without_token
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage

ALONE_BYTES = 1_000_000
REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9]([\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)
TOKENS_PAGE = "https://huggingface.co/settings/tokens"
PAY_OR_NOT = (
    "Hugging Face asks for a subscription (PRO, Team or Enterprise) before it makes a new Space that runs an app. "
    "Without one you can: export the Space again with --kind static (free: the model runs in the visitor's browser), "
    "or with --kind zerogpu (a free account may have two); give the name of a Space that you have already; or run the "
    "Space folder on a machine of your own: python app.py. Subscriptions: https://huggingface.co/pricing."
)

RUNNING = "RUNNING"
RESTING = ("PAUSED", "STOPPED", "SLEEPING")
# What the hub calls a Space between two states, in words.
ON_THE_WAY: Mapping[str, str] = {
    "BUILDING": "The Space is being built",
    "RUNNING_BUILDING": "The new version is being built; the one before still answers",
    "APP_STARTING": "The Space is starting",
    "RUNNING_APP_STARTING": "The new version is starting; the one before still answers",
}
# A build that has just been asked for may not be known yet.
SETTLING_SECONDS = 9.0
CREATE_SECONDS = 120.0
EVERY_SECONDS = 3.0
LOG_LINES = 20
# What a hub may say of itself: the name of a stage, of a commit, and as much as is repeated of its words.
STAGE = re.compile(r"[A-Z_]{1,40}")
COMMIT_ID = re.compile(r"[0-9a-f]{40}")
WORDS_LENGTH = 300


def deploy(
    config: DeployConfig,
    token: str | None,
    hub: Callable[[], HfApi] = HfApi,
    sleep: Callable[[float], None] = time.sleep,
) -> Stage[Deployed]:
    """Publish a Space folder as ``config.repo_id``, or update it there: the Space changes all at once or not at all;
    then wait until it runs.

    The token is used for this call only and is never stored. Files that are on the Space but not in the folder stay.
    Raises DeployError: before any network when the folder or the arguments are wrong, later when the hub says no or
    the Space does not start.

    >>> import os
    >>> config = w.DeployConfig("fruit-page", "ann/fruit")
    >>> published = w.run(w.deploy(config, os.environ["HF_TOKEN"]))
    >>> published.url, published.stage
    ('https://huggingface.co/spaces/ann/fruit', 'RUNNING')
    """
    secret = _checked_token(token)
    repo_id = _checked_repo_id(config.repo_id)
    space = read_space(config.folder, secret)
    total = sum(space.sizes.values()) + 1
    yield Progress(0, total, space.summary)
    try:
        api = _checked_hub(hub())
        with _without_bars():
            url = yield from _create(api, repo_id, space, config.private, secret)
            additions = yield from _send(api, repo_id, space, secret)
            yield Progress(total - 1, total, "Publishing")
            _publish(api, repo_id, url, additions, secret)
            settling = 0.0 if space.sdk == "static" else SETTLING_SECONDS
            stage = yield from follow(api, repo_id, url, secret, config.wait, settling, sleep, (total - 1, total))
    except DeployError as refused:
        raise DeployError(without_token(str(refused), secret)) from None
    except Exception as error:  # noqa: BLE001 - the one boundary: whatever the hub's client raises is put into words
        raise DeployError(_in_words(error, repo_id, space.sdk, secret)) from None
    yield Progress(total, total, "Published; it runs" if stage == RUNNING else "Published; the Space is being built")
    return Deployed(url, stage)


@dataclass(frozen=True)
class DeployConfig:
    """What goes where. ``private`` is for a new Space, and is checked on an old one.

    >>> w.DeployConfig("fruit-page", "ann/fruit", private=True).wait
    1800.0
    """

    folder: str = field(metadata=about("what export --space wrote", flag="SPACE_DIR"))
    repo_id: str = field(metadata=about("USER/NAME", flag="REPO_ID"))
    private: bool = setting(False, "only you may see it")
    wait: float = setting(1800.0, "wait so many seconds at most until it runs", low=0, metavar="S")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Deployed:
    """The address of the Space, and the hub's name for its stage (RUNNING, or BUILDING where nobody waited)."""

    url: str
    stage: str = RUNNING


class _Token(str):
    """A token that does not show itself where its repr is printed."""

    def __repr__(self) -> str:
        return "'hf_…'"


def _checked_token(token: str | None) -> _Token:
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
    return _Token(text)


def _checked_repo_id(repo_id: str) -> str:
    if not REPO_ID.fullmatch(repo_id) or "--" in repo_id or ".." in repo_id or repo_id.endswith(".git"):
        raise DeployError(
            f"“{without_token(repo_id)}” cannot be the name of a Space. Use your Hugging Face user name (or that of an "
            "organisation), a slash and a name made of letters, digits, '-', '_' and '.', for example ann/bears."
        )
    return repo_id


def _checked_hub(api: HfApi) -> HfApi:
    address = urlsplit(api.endpoint)
    if address.scheme != "https" and address.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise DeployError(
            f"The hub's address {api.endpoint} is not https, so the token is not sent. Correct HF_ENDPOINT."
        )
    return api


def _create(api: HfApi, repo_id: str, space: SpaceFolder, private: bool, token: str) -> Stage[str]:
    url = f"{api.endpoint}/spaces/{repo_id}"
    hardware = SpaceHardware(space.hardware) if space.hardware else None
    create = partial(
        api.create_repo,
        repo_id,
        repo_type="space",
        space_sdk=space.sdk,
        space_hardware=hardware,
        private=private or None,
        token=token,
    )
    late = (
        f"The hub did not say within {CREATE_SECONDS:.0f} seconds whether it made {repo_id}. Nothing was sent; look at "
        f"{url}, and try again later."
    )
    try:
        yield from _within(CREATE_SECONDS, create, "Making the Space", late)
    except HfHubHTTPError as refused:
        if not api.repo_exists(repo_id, repo_type="space", token=token):
            raise refused from None
        if private and not api.space_info(repo_id, token=token).private:
            raise DeployError(
                f"{repo_id} exists already and is public, so nothing was sent. Make it private in its settings "
                f"({url}/settings), or choose another name."
            ) from None
    return url


def _within(seconds: float, ask: Callable[[], object], note: str, late: str) -> Stage[None]:
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


def _send(api: HfApi, repo_id: str, space: SpaceFolder, token: str) -> Stage[list[CommitOperationAdd]]:
    done, additions = 0, []
    for names in _groups(space.sizes):
        note = f"Sending {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else "")
        yield Progress(done, sum(space.sizes.values()) + 1, note)
        group = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=space.folder / name) for name in names]
        api.preupload_lfs_files(repo_id, group, token=token, repo_type="space", free_memory=False)
        additions += group
        done += sum(space.sizes[name] for name in names)
    return additions


def _publish(api: HfApi, repo_id: str, url: str, additions: list[CommitOperationAdd], token: str) -> None:
    """The one commit. Raises DeployError where the answer is not that of a hub: it may have changed the Space."""
    try:
        made = api.create_commit(
            repo_id, additions, commit_message="Deploy with Winnow", token=token, repo_type="space"
        )
        known = COMMIT_ID.fullmatch(made.oid) is not None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, HfHubHTTPError) or isinstance(error.__cause__, HfHubHTTPError):
            raise  # it refused
        known = False  # no JSON, or other JSON than a commit's
    if not known:
        raise DeployError(
            "Hugging Face's answer to the last step cannot be read, so it is not known whether the Space changed. "
            f"Look at {url}, and deploy again if it did not."
        )


def _groups(sizes: dict[str, int]) -> list[list[str]]:
    """Small files in one go, large ones each alone, so that progress and cancel have steps."""
    small = [name for name, size in sizes.items() if size < ALONE_BYTES]
    large = [[name] for name, size in sizes.items() if size >= ALONE_BYTES]
    return [small, *large] if small else large


@contextmanager
def _without_bars() -> Iterator[None]:
    """The client's own progress bars off: they would be drawn over ours."""
    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _in_words(error: BaseException, repo_id: str, sdk: str, token: str) -> str:
    deepest: BaseException = error
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HfHubHTTPError):
            return _refusal(
                cause.response.status_code, on_one_line(cause.server_message or "", WORDS_LENGTH, token), repo_id, sdk
            )
        if isinstance(cause, OfflineModeIsEnabled):
            return "Hugging Face is switched off here: unset the environment variable HF_HUB_OFFLINE and deploy again."
        if isinstance(cause, ConnectionError | TimeoutError) or type(cause).__module__.startswith("httpx"):
            broke = on_one_line(str(cause), WORDS_LENGTH, token)
            return (
                f"Hugging Face cannot be reached, or the connection broke ({broke}). Check the network and deploy "
                "again: what has arrived is not sent twice, and the Space changes only when everything is there."
            )
        deepest, cause = cause, cause.__cause__
    words = on_one_line(str(deepest), WORDS_LENGTH, token)
    return f"Publishing stopped ({type(deepest).__name__}: {words}). The Space was left as it was; deploy again."


def _refusal(status: int, said: str, repo_id: str, sdk: str) -> str:
    owner = repo_id.split("/")[0]
    words = {
        400: "Hugging Face does not accept the Space as it is. Correct the Space folder and deploy again.",
        401: f"Hugging Face does not know this token. Make a new one that may write at {TOKENS_PAGE}.",
        402: PAY_OR_NOT
        if sdk != "static"
        else "Hugging Face asks for a payment, which it should not for a static "
        "Space. Look at https://huggingface.co/settings/billing, then deploy again.",
        403: f"This token may not write to {repo_id}. Make one with write access for {owner} at {TOKENS_PAGE}, "
        "or use a name that begins with your own user name.",
        404: f"Hugging Face knows no {repo_id} that this token may see. Check the name {owner} and the token's rights.",
        409: f"Somebody else is changing {repo_id} at this moment. Wait a minute and deploy again.",
        413: "Hugging Face finds the Space too large. Use a smaller backbone, or leave the example images out.",
        429: "Hugging Face asks for a pause (too many requests). Wait some minutes and deploy again.",
    }
    fault = f"Hugging Face has a fault of its own at the moment (HTTP {status}). Deploy again later."
    sentence = words.get(status) or (fault if status >= 500 else f"Hugging Face refused (HTTP {status}).")
    return f"{sentence} It said: {said}" if said else sentence


def follow(
    api: HfApi,
    repo_id: str,
    url: str,
    token: str,
    seconds: float,
    settling: float = SETTLING_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    at: tuple[int, int] = (0, 1),
) -> Stage[str]:
    """Wait until the Space runs, at most ``seconds``; returns the hub's name for its stage then. A stage that a build
    has still to change is believed after ``settling`` seconds. ``at``: (done, total) of the Progress it yields.

    Raises DeployError with the end of its log where it was built or started in vain. A hub that does not say how it
    goes is no failure (the Space is there already): what was last known is returned, BUILDING at first.
    """
    waited, stage = 0.0, "BUILDING"
    while waited < seconds:
        try:
            stage = _stage(api, repo_id, token, stage)
        except HfHubHTTPError:
            return stage
        if stage not in ON_THE_WAY and waited >= settling:
            break
        yield Progress(*at, f"{ON_THE_WAY.get(stage, 'Waiting for the new version')} ({waited:.0f} s)")
        sleep(EVERY_SECONDS)
        waited += EVERY_SECONDS
    if stage not in (RUNNING, *RESTING, *ON_THE_WAY):
        raise DeployError(_why(api, repo_id, url, token, stage))
    return stage


def _stage(api: HfApi, repo_id: str, token: str, before: str) -> str:
    """The stage as the hub says, or the one ``before`` where it cannot say for the moment."""
    try:
        stage = str(getattr(found := api.get_space_runtime(repo_id, token=token).stage, "value", found))
        return stage if STAGE.fullmatch(stage) else before
    except (httpx2.HTTPError, ConnectionError, TimeoutError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
            raise
        return before
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # no JSON, or other JSON than a stage's
        return before


def _why(api: HfApi, repo_id: str, url: str, token: str, stage: str) -> str:
    built = stage in ("BUILD_ERROR", "CONFIG_ERROR", "NO_APP_FILE")
    what = "could not be built" if built else "was built, but does not start"
    sentence = f"{url} is there, but {what} ({stage})."
    lines = _log(api, repo_id, token, built)
    if not lines:
        return f"{sentence} Its log is at {url}?logs={'build' if built else 'container'}."
    return f"{sentence} The end of its log:\n" + "\n".join(lines)


def _log(api: HfApi, repo_id: str, token: str, build: bool) -> list[str]:
    """The last lines the Space printed; none where the hub does not hand them out."""
    try:
        lines = deque(api.fetch_space_logs(repo_id, build=build, token=token), maxlen=LOG_LINES)
    except (httpx2.HTTPError, ConnectionError, TimeoutError, ValueError, TypeError, KeyError, RecursionError):
        return []
    return [line.rstrip("\n")[:400] for line in lines]
