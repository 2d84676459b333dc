"""A data set is sent from the terminal: whoever sits there is asked about its licences first."""

from __future__ import annotations

from dataclasses import replace

from pipeline.deploy.hub_dataset import SendConfig, SentDataset, licences_in_words, read_dataset, send_dataset
from pipeline.errors import Cancelled
from pipeline.terminal.show import confirmed, run_and_show


def send_here(config: SendConfig, token: str | None, ask: bool) -> SentDataset:
    """Send it; where there is somebody to ``ask``, after they said yes to what is claimed. Raises DeployError, and
    Cancelled where they say no.
    """
    if ask and not config.accept:
        who = "everybody may see" if config.public else "you alone see"
        told = licences_in_words(read_dataset(config.folder, token).licences)
        if not confirmed(f"{told} It is sent to {config.repo_id}, where {who} it."):
            raise Cancelled("Nothing was sent.")
        config = replace(config, accept=True)
    return run_and_show(send_dataset(config, token))
