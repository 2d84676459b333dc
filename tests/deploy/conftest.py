"""Exports that are checked here, where the process of its own isn't what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.deploy import parity
from pipeline.predict import Classifier


@pytest.fixture
def asked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exported model is asked in this process: the same answers, without another that imports torch."""

    def ask(script: str, model: Path, files: Sequence[str]) -> list[dict[str, Any]]:
        assert script == parity.BY_TORCH
        said = Classifier.load(model).predict(files)
        return [{"probabilities": list(one.probabilities.values()), "distance": one.distance} for one in said]

    monkeypatch.setattr(parity, "ask_apart", ask)
