"""A Space folder -> Hugging Face: checked here first, sent with the person's token, published in one commit,
and followed until it runs, or does not: its stage and the end of its log, as the hub says.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx2
from huggingface_hub import HfApi, SpaceHardware
from huggingface_hub.errors import HfHubHTTPError

from pipeline.deploy.publishing import (
    Kind,
    checked_hub,
    checked_repo_id,
    checked_token,
    commit,
    create,
    in_words,
    send,
    without_bars,
)
from pipeline.deploy.space import read_space
from pipeline.errors import DeployError
from pipeline.safe_text import without_token
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage

PAY_OR_NOT = (
    "Hugging Face asks for a subscription (PRO, Team or Enterprise) before it makes a new Space that runs an app. "
    "Without one you can: export the Space again with --kind static (free: the model runs in the visitor's browser), "
    "or with --kind zerogpu (a free account may have two); give the name of a Space that you have already; or run the "
    "Space folder on a machine of your own: python app.py. Subscriptions: https://huggingface.co/pricing."
)
PAID_IN_VAIN = (
    "Hugging Face asks for a payment, which it should not for a static Space. Look at "
    "https://huggingface.co/settings/billing, then deploy again."
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
EVERY_SECONDS = 3.0
LOG_LINES = 20
# What a hub may say of itself: the name of a stage.
STAGE = re.compile(r"[A-Z_]{1,40}")


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
    secret = checked_token(token)
    repo_id = checked_repo_id(config.repo_id, "Space")
    space = read_space(config.folder, secret)
    kind = _kind(space.sdk)
    total = sum(space.sizes.values()) + 1
    yield Progress(0, total, space.summary)
    try:
        api = checked_hub(hub())
        hardware = SpaceHardware(space.hardware) if space.hardware else None
        more = {"space_sdk": space.sdk, "space_hardware": hardware}
        with without_bars():
            url = yield from create(api, repo_id, kind, config.private or None, secret, **more)
            additions = yield from send(api, repo_id, kind, space.folder, space.sizes, secret, total)
            yield Progress(total - 1, total, "Publishing")
            commit(api, repo_id, kind, additions, secret)
            settling = 0.0 if space.sdk == "static" else SETTLING_SECONDS
            stage = yield from follow(api, repo_id, url, secret, config.wait, settling, sleep, (total - 1, total))
    except DeployError as refused:
        raise DeployError(without_token(str(refused), secret)) from None
    except Exception as error:  # noqa: BLE001 - the one boundary: whatever the hub's client raises is put into words
        raise DeployError(in_words(error, repo_id, kind, secret)) from None
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


def _kind(sdk: str) -> Kind:
    return Kind(
        "space",
        "spaces",
        "Space",
        "deploy",
        "Deploy with Winnow",
        "Use a smaller backbone, or leave the example images out.",
        PAID_IN_VAIN if sdk == "static" else PAY_OR_NOT,
    )


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
