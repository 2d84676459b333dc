"""What the head of an HTTP answer says: a refusal, a redirect, a wait, a wish not to be trained on."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore2 as httpcore

from pipeline.errors import NetworkError

CODES = (
    "dns",
    "truncated",
    "too_large",
    "timeout",
    "redirect_limit",
    "blocked_address",
    "blocked_scheme",
    "not_image",
    "unsupported",
    "corrupt",
    "bomb",
    "http_error",
    "rate_limited",
    "reset",
    "bad_response",
    "noai",
    "too_small",
)
# Behind the reason of a failure that may pass (``NotFetched.again``).
AGAIN = "It is tried again at the next download."
AGENT = "Winnow"
REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (408, 425, 429)
MAX_HEADER_LINE = 16 << 10
# Directives of X-Robots-Tag that hold a colon themselves; before any other colon stands a robot's name.
DIRECTIVES_WITH_VALUE = ("max-snippet", "max-image-preview", "max-video-preview", "unavailable_after")


class NotFetched(NetworkError):
    """A URL brought nothing: ``code`` is one of CODES, ``str()`` the reason in words.

    ``again`` says that it may work another time; ``wait`` is how long the server asked to be left alone, in seconds;
    ``status`` is that of its HTTP answer, where there was one that said no.
    """

    def __init__(
        self, code: str, reason: str, again: bool = False, wait: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.again = again
        self.wait = wait
        self.status = status


def header(response: httpcore.Response, name: bytes) -> str:
    """The first header line of that (lower-case) name; empty where there is none."""
    return next((value.decode("latin-1").strip() for key, value in response.headers if key.lower() == name), "")


def location(response: httpcore.Response) -> str | None:
    """Where the response redirects to (UTF-8 where it is, as browsers read it); None where it does not."""
    if response.status not in REDIRECTS:
        return None
    target = next((value for key, value in response.headers if key.lower() == b"location"), b"")
    if not target:
        raise NotFetched("http_error", f"It redirects to nowhere (status {response.status}).")
    return target.decode("utf-8", "replace")


def refuse(response: httpcore.Response, honour_noai: bool = True) -> None:
    """Raises NotFetched where the head alone says there is no picture for us."""
    status = response.status
    if any(len(key) + len(value) > MAX_HEADER_LINE for key, value in response.headers):
        raise NotFetched("bad_response", f"The server sends a header line of more than {MAX_HEADER_LINE >> 10} KiB.")
    if status in PASSING or status >= 500:
        code = "rate_limited" if status == 429 else "http_error"
        wait = _retry_after(header(response, b"retry-after"))
        raise NotFetched(code, _status_words(status, wait), again=True, wait=wait, status=status)
    if status in REDIRECTS:
        return
    if status != 200:
        raise NotFetched("http_error", _status_words(status, None), status=status)
    robots = (value.decode("latin-1") for key, value in response.headers if key.lower() == b"x-robots-tag")
    if honour_noai and any(_forbids_training(value) for value in robots):
        raise NotFetched("noai", "Its site asks not to use it for training (X-Robots-Tag: noai).")


def _status_words(status: int, wait: float | None) -> str:
    words = {401: "It needs a login", 403: "The site refuses", 404: "It is not there", 410: "It is gone"}.get(
        status, "The site asks for fewer requests" if status == 429 else "The server answers without a picture"
    )
    if status >= 500:
        words = "The server is in trouble"
    later = f", and asks to wait {wait:.0f} seconds" if wait else ""
    return f"{words} (status {status}){later}."


def _retry_after(text: str) -> float | None:
    """Seconds, from a number or an HTTP date; None where it is missing or makes no sense."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


def _forbids_training(value: str) -> bool:
    """Whether one X-Robots-Tag line, if it is meant for us, holds noai or noimageai."""
    line = value.lower()
    name = re.match(r"\s*([^\s:,]+)\s*:", line)
    if name and name[1] not in DIRECTIVES_WITH_VALUE:
        if name[1] not in ("*", AGENT.lower()):
            return False
        line = line[name.end() :]
    return bool({"noai", "noimageai"} & {part.strip() for part in line.split(",")})
