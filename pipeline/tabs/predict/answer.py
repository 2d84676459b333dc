"""What the Predict tab says about one answer, in words: how sure, how calibrated, how familiar, by which views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.labels import in_words
from pipeline.model.calibrate import FEWEST
from pipeline.predict import NONE, Prediction
from pipeline.tabs.page.show import bar_rows, escape, percent

SHOWN_CLASSES = 5
UNFAMILIAR = "Unfamiliar"
EXPLAINED = (
    "<p>A network tends to be surer than it is right. Its raw outputs are divided by one number, the temperature, "
    "which is chosen so that the probabilities fit the pictures of the valid split; which class is likeliest stays. "
    "A picture is unfamiliar where its features lie farther from those of the training pictures than those of nearly "
    "all pictures that were held back. Neither says anything of a picture that looks familiar and shows something "
    "else. More is in docs/predict.md.</p>"
)
# So far from 1 a temperature changes what is read off.
NEAR_ONE = 0.02


def shown(prediction: Prediction | None) -> dict[str, Any] | None:
    """The answer as the component draws it: label in large (one class, several, none of them; or that the picture is
    unfamiliar), confidences: label and confidence of the likeliest classes, and unfamiliar. None: nothing was asked.
    """
    if prediction is None:
        return None
    likeliest = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:SHOWN_CLASSES]
    return {
        "label": UNFAMILIAR if prediction.unfamiliar else in_words(prediction.label),
        "confidences": [{"label": name, "confidence": probability} for name, probability in likeliest],
        "unfamiliar": prediction.unfamiliar,
    }


def remark(prediction: Prediction, about: Mapping[str, Any] | None = None) -> str:
    """What to think of the answer, as HTML. ``about``: config.json of the model, with ``valid``, how many pictures its
    valid split has; without it nothing is said of the model itself.
    """
    parts = [_strange(prediction, about or {}), _none(prediction), _every_class(prediction)]
    if about is not None:
        parts += [_views(prediction.views), calibration(about)]
    return "".join(parts)


def _strange(prediction: Prediction, about: Mapping[str, Any]) -> str:
    if not prediction.unfamiliar:
        return _how_familiar(prediction.distance)
    far = "far away"
    if prediction.distance is not None:
        far = f"at {prediction.distance:.1f} times the limit"
    test = about.get("unfamiliar", {}).get("test", {})
    kept = ""
    if test.get("images"):
        share = f"{100 * test['rate']:.1f} % of the {test['images']:,} test pictures"
        kept = f'<p class="w-hint">The limit also turns away {share}, which are of the right kind.</p>'
    return (
        f'<p class="w-warn">This picture is unlike anything the model learnt from: it lies {far}. If it had to choose, '
        f"it would say {escape(in_words(prediction.label))}; do not rely on that.</p>{kept}"
    )


def _how_familiar(distance: float | None) -> str:
    if distance is None:
        return ""
    return (
        f'<p class="w-hint">It is like what the model learnt from ({100 * distance:.0f} % of the way to the limit).</p>'
    )


def _none(prediction: Prediction) -> str:
    if prediction.label != NONE or prediction.unfamiliar:
        return ""
    return '<p class="w-hint">No class is likely enough to be named: by this model it shows none of them.</p>'


def _every_class(prediction: Prediction) -> str:
    if len(prediction.probabilities) <= SHOWN_CLASSES:
        return ""
    rows = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    bars = bar_rows((name, share, percent(share)) for name, share in rows)
    return f"<details><summary>All {len(rows):,} classes</summary>{bars}</details>"


def _views(views: Sequence[str]) -> str:
    if len(views) < 2:
        return ""
    return f'<p class="w-hint">The mean of its answers about {len(views)} views: {escape(", ".join(views))}.</p>'


def calibration(about: Mapping[str, Any]) -> str:
    """How the probabilities were made to mean what they say, as HTML."""
    temperature, pictures = float((about.get("outputs") or {}).get("temperature", 1.0)), int(about.get("valid", 0))
    if pictures < FEWEST:
        words = f"Not calibrated: with {pictures} pictures in the valid split there is too little to go by."
    else:
        words = (
            f"Calibrated on {pictures:,} pictures it had not learnt from, so that of answers given with 80 % about "
            f"80 % are right: temperature {temperature:.2f}{_meaning(temperature)}."
        )
    return f'<p class="w-hint">{words}</p><details><summary>What does that mean?</summary>{EXPLAINED}</details>'


def _meaning(temperature: float) -> str:
    if abs(temperature - 1.0) < NEAR_ONE:
        return ", which changes next to nothing"
    return ", as it was surer than it should be" if temperature > 1 else ", as it was less sure than it may be"


def views_in_words(views: Sequence[str]) -> str:
    """The label of the switch for several views."""
    return f"Also ask about it {' and '.join(views)}" if views else "This model is asked about a picture as it is"
