"""One picture, asked for again and again: our Classifier beside the plain timm recipe, in turn; prints the ratio.

    python benchmarks/predict.py [ROUNDS]

The peer is what timm's documentation does: ``create_transform(**resolve_model_data_config(model))``, then the model.
Both use the bundled EfficientNet-Lite0 on the CPU. Above 1: ours is faster.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from pipeline.backbones import DEFAULT, create
from pipeline.predict import Classifier, Preprocessing
from pipeline.runs import write_model
from pipeline.starter_set import write_starter


def main(rounds: int) -> None:
    """Time both on the same pictures, alternating, and print medians and the median of the ratios."""
    with tempfile.TemporaryDirectory() as scratch:
        pictures = sorted(write_starter(Path(scratch) / "starter").rglob("*.jpg"))[:rounds]
        model = create(DEFAULT, 5)
        folder = Path(scratch) / "model"
        folder.mkdir()
        classes = ["apple", "melon", "orange", "pear", "satsuma"]
        info = {"architecture": DEFAULT, "label_names": classes, "preprocessing": Preprocessing().to_json()}
        write_model(folder, model, info, None)
        classifier = Classifier.load(folder)
        peer = _peer(timm.create_model(DEFAULT, num_classes=5))
        times: dict[str, list[float]] = {"peer": [], "ours": []}
        for picture in pictures:
            times["peer"].append(_timed(peer, picture))
            times["ours"].append(_timed(lambda path: classifier.predict([path]), picture))
    ratios = [peer / ours for peer, ours in zip(times["peer"], times["ours"], strict=True)]
    for name, seconds in times.items():
        print(f"{name}: {1000 * statistics.median(seconds):.1f} ms a picture (median of {len(seconds)})")
    print(f"ratio peer / ours: {statistics.median(ratios):.2f}")


def _peer(model: torch.nn.Module) -> Callable[[Path], object]:
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    model = model.eval()

    def predict(path: Path) -> object:
        with torch.inference_mode():
            batch = transform(Image.open(path).convert("RGB")).unsqueeze(0)
            return model(batch).softmax(dim=1)

    return predict


def _timed(function: Callable[[Path], object], picture: Path) -> float:
    began = time.perf_counter()
    function(picture)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
