"""What a network is taught by: cross-entropy for one class each, binary cross-entropy for each class by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from pipeline.labels import as_flags
from pipeline.predict import Outputs


def targets_of(labels: Sequence[str], classes: Sequence[str], outputs: Outputs) -> torch.Tensor:
    """Class numbers [N] (softmax), or 0 and 1 [N, C] (sigmoid; a row of 0 where a label names none of the classes)."""
    flags = torch.from_numpy(as_flags(labels, classes))
    return flags.float() if outputs.kind == "sigmoid" else flags.int().argmax(dim=1)


def shares_of(targets: torch.Tensor, class_count: int) -> torch.Tensor:
    """[N, C] of any targets, as floats."""
    return one_hot(targets, class_count).float() if targets.ndim == 1 else targets.float()


def losses_of(
    logits: torch.Tensor, targets: torch.Tensor, outputs: Outputs, label_smoothing: float = 0.0
) -> torch.Tensor:
    """[N], in nats: how unlikely the targets are, class numbers [N] or [N, C]. With sigmoid outputs it is the sum over
    the classes, -log of :func:`pipeline.labels.likelihood`.
    """
    if outputs.kind == "softmax":
        return cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    smooth = targets * (1 - label_smoothing) + label_smoothing / 2
    return binary_cross_entropy_with_logits(logits, smooth.to(logits.dtype), reduction="none").sum(dim=1)


def wrong_of(logits: torch.Tensor, targets: torch.Tensor, outputs: Outputs) -> torch.Tensor:
    """[N]: whether the answer names anything else than the target does."""
    probabilities = outputs.probabilities(logits.float()).numpy()
    flags = shares_of(targets, logits.shape[1]).bool()
    return (torch.from_numpy(outputs.chosen(probabilities)) != flags).any(dim=1)


def loss_and_error(logits: torch.Tensor, targets: torch.Tensor, outputs: Outputs) -> tuple[float, float]:
    """(mean loss in nats, share of wrong answers) of logits [N, C]."""
    return float(losses_of(logits, targets, outputs).mean()), float(wrong_of(logits, targets, outputs).float().mean())
