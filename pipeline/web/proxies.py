"""What the environment says about the way to the network: it is for the network, and never for this machine itself."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

ON_THE_WAY = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def spare_loopback(environment: MutableMapping[str, str]) -> None:
    """Say for all clients, and the processes that are started from here, that loopback is reached without a proxy."""
    said = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if said.strip() == "*":
        return
    names = [name.strip() for name in said.split(",") if name.strip()]
    told = ",".join([*names, *(name for name in LOOPBACK if name not in names)])
    environment.update({"no_proxy": told, "NO_PROXY": told})


@contextmanager
def none_of_it(environment: MutableMapping[str, str]) -> Iterator[None]:
    """While the context lasts, the environment names no proxy and no certificates: Gradio's clients read both as it is
    imported and starts, when it asks nobody but itself, and end the app where something is wrong with them.
    """
    names = [name for name in environment if name.upper() in ON_THE_WAY]
    hidden = {name: environment.pop(name) for name in names}
    try:
        yield
    finally:
        environment.update(hidden)
