"""A body whose weights stay as they are: pictures -> features, on the CPU through OpenVINO, several times as fast."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from pipeline.predict import forward

# [N, 3, H, W], normalised -> [N, F]: what the classifier sees.
Body: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

# Compiling takes about a second, which fewer pictures do not win back.
WORTH_COMPILING = 128
# Pictures that go through it at once on a CPU; OpenVINO is given exactly so many: a network whose batch has one size
# plans its memory as a whole. It holds 85 MiB for what took 310 in batches of up to 32 (tf_efficientnet_lite0, 224 px).
PIECE = 8
# Of the largest feature.
LARGEST_DIFFERENCE = 1e-3


class NotCompiled(Exception):
    """OpenVINO cannot take this network, or answers otherwise; the message says which."""


def plain(model: Any) -> Body:
    """The body as torch runs it."""

    def ask(batch: torch.Tensor) -> torch.Tensor:
        pieces = torch.split(batch, PIECE if batch.device.type == "cpu" else len(batch))
        return torch.cat([forward(model, piece)[0] for piece in pieces])

    return ask


def weights_of_body(model: Any) -> str:
    """A digest of the weights of the body of a model on the CPU, about 20 ms for 5 million. Their values are read, as a
    fused optimiser's steps leave no trace in a tensor's version.
    """
    head = {id(tensor) for tensor in model.get_classifier().parameters()}
    digest = hashlib.blake2b()
    for tensor in (*model.parameters(), *model.buffers()):
        if id(tensor) not in head:
            digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def compiled(model: Any, batch: torch.Tensor) -> Body:
    """The body as OpenVINO runs it in float32, for batches of any length like ``batch`` [N, 3, H, W], on the CPU.

    Its features of ``batch`` are compared with torch's. Raises NotCompiled where it cannot be done or they differ.
    """
    model.eval()
    some = batch[:2]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of both packages, about parts of their own
        try:
            ask = _converted(model, some)
            features = ask(some)
        except Exception as error:
            raise NotCompiled(f"{type(error).__name__}: {str(error)[:200]}") from error
        expected = plain(model)(some)
    differ = float((features - expected).abs().max() / expected.abs().max().clamp_min(1e-6))
    if not differ <= LARGEST_DIFFERENCE:
        raise NotCompiled(f"its features differ from torch's by {differ:.2g} of the largest one")
    return ask


def _converted(model: Any, some: torch.Tensor) -> Body:
    openvino = _openvino()

    def channels_last(batch: torch.Tensor) -> torch.Tensor:
        return forward(model, batch.permute(0, 3, 1, 2))[0]

    learns = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learns:  # what is traced holds them as constants
            parameter.requires_grad_(False)
        example = some.permute(0, 2, 3, 1).contiguous()
        traced = torch.jit.trace(channels_last, (example,), check_trace=False)  # type: ignore[no-untyped-call]
    finally:
        for parameter in learns:
            parameter.requires_grad_(True)
    converted = openvino.convert_model(traced, example_input=example, input=[PIECE, *example.shape[1:]])
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    network = openvino.Core().compile_model(
        converted, "CPU", {**settings, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    )

    def ask(batch: torch.Tensor) -> torch.Tensor:
        found = []
        for piece in torch.split(batch, PIECE):
            whole = torch.zeros(PIECE, *example.shape[1:])
            whole[: len(piece)] = piece.permute(0, 2, 3, 1)
            found.append(torch.from_numpy(network(whole.numpy())[0][: len(piece)].copy()))
        return torch.cat(found)

    return ask


def _openvino() -> Any:
    """The package, without the one beside it that tells its makers of each import over the network."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
