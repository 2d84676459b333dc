"""The temperature of a model: the number its logits are divided by, so that its probabilities mean what they say."""

from __future__ import annotations

import torch

from pipeline.model.losses import shares_of
from pipeline.predict import Outputs

# Beyond these a few pictures would say more than they know.
LEAST, MOST = 0.1, 10.0
# With fewer answers the model keeps the probabilities it has.
FEWEST = 10


def fit_temperature(logits: torch.Tensor, targets: torch.Tensor, outputs: Outputs) -> float:
    """The temperature with the lowest log loss for logits [N, C] of pictures the model did not learn from (Guo et al.
    2017); 1.0 where there are fewer than FEWEST. ``targets``: [N] class numbers, or [N, C] flags (sigmoid).

    The targets are smoothed as if one more picture had been answered wrongly (Platt 1999): where all answers are right,
    the model is not made certain.
    """
    if len(logits) < FEWEST:
        return 1.0
    count = logits.shape[1]
    wrong = 1.0 / (len(logits) + 2)
    wanted = shares_of(targets, count).double()
    if outputs.kind == "softmax":
        wanted = wanted * (1 - wrong) + (1 - wanted) * wrong / max(count - 1, 1)
    else:
        wanted = wanted * (1 - wrong) + (1 - wanted) * wrong
    exact = logits.double()
    logarithm = torch.zeros((), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([logarithm], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        value = _loss(exact / logarithm.exp(), wanted, outputs)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    found = float(logarithm.detach().exp())
    return min(max(found, LEAST), MOST) if found == found else 1.0


def _loss(logits: torch.Tensor, wanted: torch.Tensor, outputs: Outputs) -> torch.Tensor:
    if outputs.kind == "softmax":
        return -(wanted * logits.log_softmax(dim=1)).sum(dim=1).mean()
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
