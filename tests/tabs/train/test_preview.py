from __future__ import annotations

import base64
import io
import re

import numpy as np
import torch
from PIL import Image

from pipeline.tabs.train.tab import SIDE, views_html
from pipeline.train.config import TrainConfig
from pipeline.train.preview import Preview, Viewed

HOSTILE = "<img src=x onerror=alert(1)>${harm}"


def shown(side: int = 64, label: str = "bear", warning: str = "", unreadable: int = 0) -> Preview:
    ramp = np.linspace(0, 255, side * side * 3).reshape(side, side, 3).astype(np.uint8)
    one = Viewed("id", label, ramp, np.stack([ramp[::-1], ramp[:, ::-1]]))
    return Preview((one, one), torch.zeros(2, 2, 3, side, side), (side, side), warning, unreadable)


def pictures(html: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


def test_each_picture_is_a_row_of_what_is_tested_and_what_is_learnt() -> None:
    html = views_html(shown(), TrainConfig())
    assert html.count("<figure>") == 2 and html.count('class="w-tested"') == 2
    found = pictures(html)
    assert len(found) == 6 and found[0].size == (64, 64)
    tested, turned = (np.asarray(image, float) for image in found[:2])
    assert np.abs(tested[::-1] - turned).mean() < 3
    assert "64 × 64 pixels" in html and "w-warn" not in html


def test_large_views_are_sent_small() -> None:
    assert {image.size for image in pictures(views_html(shown(side=600), TrainConfig()))} == {(SIDE, SIDE)}


def test_what_to_know_is_said() -> None:
    html = views_html(shown(warning="12 of 60 lose much.", unreadable=1), TrainConfig(mixup=0.2))
    assert "12 of 60 lose much." in html and "Mixup" in html and "1 picture could not be opened" in html
    assert "nothing is varied" in views_html(shown(), TrainConfig(augmentation="none"))


def test_class_names_are_text() -> None:
    html = views_html(shown(label=HOSTILE, warning=HOSTILE), TrainConfig())
    assert "<img src=x" not in html
