"""A published Space -> one that runs, or why it does not: its stage and the end of its log, as the hub says."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from pipeline.errors import DeployError
from pipeline.stage import Progress, Stage

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
        return str(getattr(found := api.get_space_runtime(repo_id, token=token).stage, "value", found))
    except (httpx2.HTTPError, ConnectionError, TimeoutError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
            raise
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
    except (httpx2.HTTPError, ConnectionError, TimeoutError):
        return []
    return [line.rstrip("\n")[:400] for line in lines]
