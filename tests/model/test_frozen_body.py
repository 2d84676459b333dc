"""The body through OpenVINO: the same features as torch's, for as long as its weights stay as they are."""

from __future__ import annotations

import subprocess
import sys

import pytest
import timm
import torch

from pipeline.model.frozen_body import PIECE, NotCompiled, compiled, plain, weights_of_body


def network(name: str = "test_resnet", size: int = 64) -> torch.nn.Module:
    torch.manual_seed(0)
    sized = {"img_size": size} if "vit" in name else {}
    model: torch.nn.Module = timm.create_model(name, pretrained=False, num_classes=3, **sized)
    return model.eval().to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "test_resnet", "test_vit", "test_convnext", "mobilenetv3_small_050"]
)
def test_the_features_are_those_of_torch_for_batches_of_any_length(name: str) -> None:
    model = network(name)
    body = compiled(model, torch.zeros(2, 3, 64, 64))
    for count in (1, 5, PIECE, 2 * PIECE + 3):
        pictures = torch.randn(count, 3, 64, 64).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            expected = plain(model)(pictures)
            torch.testing.assert_close(body(pictures), expected, rtol=1e-3, atol=1e-4)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_answers_of_one_batch_stay_when_the_next_is_asked() -> None:
    body = compiled(network(), torch.zeros(2, 3, 64, 64))
    first = body(torch.randn(2, 3, 64, 64))
    kept = first.clone()
    body(torch.randn(2, 3, 64, 64))
    assert torch.equal(first, kept)


def test_a_cpu_never_holds_more_than_a_piece_of_what_is_asked() -> None:
    model, seen = network(), list[int]()
    conv = next(module for module in model.modules() if isinstance(module, torch.nn.Conv2d))
    conv.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    pictures = torch.randn(2 * PIECE + 3, 3, 64, 64)
    with torch.inference_mode():
        answers = plain(model)(pictures)
    assert seen == [PIECE, PIECE, 3] and len(answers) == len(pictures)


class Unknown(torch.nn.Module):
    """A network with a step that cannot be traced, or whose answer depends on its values."""

    def __init__(self, branch: bool) -> None:
        super().__init__()
        self.classifier = torch.nn.Linear(3, 2)
        self.branch = branch

    def forward_features(self, batch: torch.Tensor) -> torch.Tensor:
        if not self.branch:
            raise RuntimeError("not like this")
        return batch * 2 if batch.sum() > 0 else batch * 3

    def forward_head(self, features: torch.Tensor, pre_logits: bool) -> torch.Tensor:
        return features.mean(dim=(2, 3))

    def get_classifier(self) -> torch.nn.Linear:
        return self.classifier


def test_what_cannot_be_compiled_is_said() -> None:
    with pytest.raises(NotCompiled, match="not like this"):
        compiled(Unknown(branch=False), torch.ones(2, 3, 8, 8))


def test_other_features_than_torchs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pipeline.model.frozen_body._converted", lambda model, some: lambda batch: plain(model)(batch) * 1.01
    )
    with pytest.raises(NotCompiled, match=r"differ from torch's by 0\.01 of the largest"):
        compiled(network(), torch.randn(2, 3, 64, 64))


def test_the_weights_of_the_body_are_others_after_a_step_and_the_same_after_a_new_head() -> None:
    model = network()
    before = weights_of_body(model)
    with torch.no_grad():
        model.get_classifier().weight.fill_(0.5)
    assert weights_of_body(model) == before
    for kind in (torch.optim.SGD, torch.optim.AdamW):
        for fused in (False, True):
            optimizer = kind(model.parameters(), lr=0.1, fused=fused)
            before = weights_of_body(model)
            model(torch.randn(2, 3, 64, 64)).sum().backward()  # in eval mode: batch norm's statistics stay
            optimizer.step()
            assert weights_of_body(model) != before
    other = network()
    assert weights_of_body(other) != weights_of_body(model)
    other.load_state_dict(model.state_dict())
    assert weights_of_body(other) == weights_of_body(model)


@pytest.mark.slow
def test_nobody_is_told_that_it_was_used() -> None:
    """The package would report each import and conversion through openvino_telemetry, where that can be imported."""
    script = """
import socket, sys
def refuse(*_): raise AssertionError("it asked the network")
socket.socket.connect = socket.getaddrinfo = refuse
import timm, torch
from pipeline.model.frozen_body import compiled
compiled(timm.create_model("test_resnet", pretrained=False), torch.zeros(2, 3, 32, 32))
assert "openvino" in sys.modules and sys.modules["openvino_telemetry"] is None
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
