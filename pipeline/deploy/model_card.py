"""The README of an exported model: what it tells apart, how well, how to use it, where it comes from.

Its confusion matrix is a picture, for a page that nobody can click: drawn with Pillow, at most MOST classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from huggingface_hub import EvalResult, ModelCardData
from PIL import Image, ImageDraw, ImageFont

from pipeline.deploy.space import filled
from pipeline.labels import as_flags
from pipeline.predict import ONNX, Preprocessing
from pipeline.safe_text import plain
from pipeline.train.evaluate import error_rate_interval
from pipeline.train.new_scenes import in_words
from pipeline.workspace.runs import Run, baselines_in_words, limit_set_on, set_on_in_words

SPLITS = ("train", "valid", "test")
MATRIX = "confusion.png"
TITLE_LENGTH = 60

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
MOST = 25
CELL, MARGIN, LABEL = 46, 14, 170
LAST_LATIN = 0x24F
PAPER, INK, FAINT = (255, 255, 255), (28, 25, 23), (120, 113, 108)
RIGHT, WRONG = (15, 118, 110), (185, 28, 28)


def title(classes: Sequence[str]) -> str:
    """A short question with the classes in it, for the head of a page."""
    words = f"{', '.join(classes[:-1])} or {classes[-1]}?"
    if len(words) > TITLE_LENGTH:
        rest = _cut(classes[1]) if len(classes) == 2 else f"one of {len(classes) - 1} other classes"
        words = f"{_cut(classes[0])} or {rest}?"
    return words[:1].upper() + words[1:]


def _cut(text: str) -> str:
    return text if len(text) <= TITLE_LENGTH // 2 else text[: TITLE_LENGTH // 2 - 1].rstrip() + "…"


def model_card(run: Run, info: Mapping[str, Any], sources: pd.DataFrame, weights: bool = True) -> str:
    """The card of a model folder, in Markdown. ``sources``: source_provider and source_licence of each train image;
    ``weights``: whether the folder holds them for torch.
    """
    return filled(
        "card.md",
        title=plain(title(run.classes)),
        count=len(run.classes),
        backbone=backbone_of(info),
        quality=_quality(run),
        matrix=f"![What was taken for what on the test split]({MATRIX})\n\n" if has_matrix(run) else "",
        classes=_class_rows(run),
        calibration=_calibration(run),
        by_predict=filled("use.md", alone=_alone(info)) if weights else "",
        onnx=_onnx(info),
        scales=scales_in_words(info),
        data_version=str(info["data_version"])[:12],
        false_alarms=_false_alarms(info),
        versions=", ".join(f"{name} {number}" for name, number in info["versions"].items()),
        run=run.id,
        created=run.created[:10],
        sources=_source_rows(sources),
        backbone_licence=backbone_licence(backbone_of(info)),
    )


def front_matter(run: Run, info: Mapping[str, Any]) -> str:
    """What Hugging Face reads of a model's card, between two lines ``---``."""
    test, name = run.test, title(run.classes)
    measured = [] if test["error_rate"] is None else [_measured(run, name)]
    data = ModelCardData(
        library_name="timm",
        pipeline_tag="image-classification",
        tags=["image-classification", "timm", "winnow"],
        base_model=_hub_name(backbone_of(info)),
        metrics=["accuracy"],
        model_name=name,
        eval_results=measured or None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n"


def _measured(run: Run, name: str) -> EvalResult:
    return EvalResult(
        task_type="image-classification",
        dataset_type="imagefolder",
        dataset_name=f"{name} (test split, {run.test['n']} pictures)",
        dataset_split="test",
        metric_type="accuracy",
        metric_value=round(1 - run.test["error_rate"], 4),
    )


def has_matrix(run: Run) -> bool:
    """Whether a confusion matrix says something: one class each, and pictures in the test split."""
    return not run.outputs.several and bool(run.test["n"])


def write_matrix(run: Run, folder: Path) -> None:
    """Write the confusion matrix of the test split as the picture that the card shows."""
    predictions = run.predictions()
    counts = counted(predictions[predictions["split"] == "test"], run.answers)
    draw(worst(counts)).save(folder / MATRIX, optimize=True)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _quality(run: Run) -> str:
    test = run.test
    elsewhere = "\n\n" + " ".join(map(plain, said)) if (said := in_words(run.record)) else ""
    if not test["n"]:
        return f"No picture was in the test split, so nothing is known about how often it is wrong.{elsewhere}"
    sentence = (
        f"**Wrong on {_percent(test['error_rate'])}** of {test['n']} pictures that were kept aside for this test "
        f"(95 % interval {_percent(test['low'])} to {_percent(test['high'])})."
    )
    if run.outputs.kind == "sigmoid":
        many = "may name several classes or none of them" if run.outputs.several else "names one class or none of them"
        sentence += f" It {many}, each from a threshold of its own on, and is wrong where it names anything else."
    if test.get("baseline_error_rate") is not None:
        sentence += f" Always answering the most frequent class is wrong on {_percent(test['baseline_error_rate'])}."
        sentence += f" {baselines_in_words(run.record.get('baselines'))}".rstrip()
    return sentence + elsewhere


def _class_rows(run: Run) -> str:
    predictions = run.predictions()
    splits = predictions["split"].to_numpy()
    flags = as_flags(predictions["label"].astype(str), run.answers)
    found = flags & as_flags(predictions["predicted"].astype(str), run.answers)
    counts = {split: flags[splits == split].sum(axis=0).tolist() for split in SPLITS}
    hits = found[splits == "test"].sum(axis=0).tolist()
    return "\n".join(
        f"| {plain(name)} | {' | '.join(str(counts[split][number]) for split in SPLITS)} | "
        f"{_recall(hits[number], counts['test'][number])} |"
        for number, name in enumerate(run.answers)
    )


def _recall(hits: int, count: int) -> str:
    if not count:
        return "–"
    low, high = error_rate_interval(hits, count)
    return f"{_percent(hits / count)} ({_percent(low)} to {_percent(high)})"


def _calibration(run: Run) -> str:
    temperature = run.outputs.temperature
    if temperature == 1.0:
        return "Its probabilities are as the network gives them: there were too few valid pictures to adjust them."
    where = set_on_in_words((run.record.get("set_on") or {}).get("temperature"))
    return (
        f"Its probabilities were adjusted on {where} (temperature {temperature:.2f}), so that of answers given "
        "with 80 % about 80 % are right, on pictures like these."
    )


def _alone(info: Mapping[str, Any]) -> str:
    """How to use it with timm alone; empty where that would take more than a few lines."""
    preprocessing = Preprocessing.from_json(info["preprocessing"])
    size = f"({preprocessing.size[1]}, {preprocessing.size[0]})"
    if info["members"] > 1 or (preprocessing.resize == "pad" and preprocessing.padding != "zeros"):
        return ""
    if scales_in_words(info):
        return ""
    bleed = "" if preprocessing.crop_pct == 1 else f", bleed={(1 - preprocessing.crop_pct) / 2:.6g}"
    resized = {
        "squish": f"picture.resize({size}, Image.Resampling.BICUBIC)",
        "pad": f"ImageOps.pad(picture, {size}, Image.Resampling.BICUBIC)",
        "crop": f"ImageOps.fit(picture, {size}, Image.Resampling.BICUBIC{bleed})",
    }[preprocessing.resize]
    sigmoid = (info.get("outputs") or {}).get("kind") == "sigmoid"
    return filled("alone.md", resized=resized, activation="sigmoid()" if sigmoid else "softmax(dim=1)")


def scales_in_words(info: Mapping[str, Any]) -> str:
    """How pictures of more than 8 bits become what the network sees, where the model has one scale for them."""
    opening = Preprocessing.from_json(info["preprocessing"]).opening
    said = [
        f"{kind} numbers from {scale[0]:,.6g} (black) to {scale[1]:,.6g} (white)"
        for kind, scale in (("whole", opening.whole), ("real", opening.real))
        if scale is not None
    ]
    if not said:
        return ""
    return (
        f"Grey pictures of more than 8 bits are scaled to 8, all of them alike: {', '.join(said)}. `open_image` of "
        "predict.py does that, with the `opening` of config.json's `preprocessing`; Pillow's `convert` and browsers do "
        "not.\n\n"
    )


def _onnx(info: Mapping[str, Any]) -> str:
    """How to use model.onnx, where there is one, and what the one with 8-bit numbers costs."""
    if ONNX not in info["files"]:
        return ""
    distance = (
        "A second output, `distance`, says how unlike the pictures it learnt from a picture is: unfamiliar above 1.\n\n"
    )
    said, cost = filled("onnx.md") + (distance if info.get("unfamiliar") else ""), info.get("int8")
    if not cost:
        return said
    sizes = f"{cost['bytes'] / 1e6:.1f} MB instead of {cost['bytes_before'] / 1e6:.1f} MB"
    if not cost["images"]:
        return f"{said}`model.int8.onnx` is smaller ({sizes}); no test picture was there to say what that costs.\n\n"
    return (
        f"{said}`model.int8.onnx` is smaller ({sizes}) and less exact: on {cost['images']} test pictures it is wrong "
        f"on {_percent(cost['error_rate'])} instead of {_percent(cost['error_rate_before'])}, and gives another "
        f"answer on {_percent(cost['changed'])}.\n\n"
    )


def _hub_name(backbone: str) -> str | None:
    """Where Hugging Face has the weights it started from."""
    import timm

    config = timm.models.get_pretrained_cfg(backbone, allow_unregistered=True)
    place = getattr(config, "hf_hub_id", None) or ""
    return f"{place}{backbone}" if place.endswith("/") else place or None


def _false_alarms(info: Mapping[str, Any]) -> str:
    if not info.get("unfamiliar"):
        return "this model was made without that and never says it"
    unfamiliar = info["unfamiliar"]
    rate, test = _percent(unfamiliar["false_alarm_rate"]), unfamiliar["test"]
    return (
        f"less like what it learnt than all but {rate} of {limit_set_on(unfamiliar)} are. Of the "
        f"{test['images']:,} of the test split, which are of these classes, it says so of {_percent(test['rate'])}"
    )


def _source_rows(sources: pd.DataFrame) -> str:
    named = sources.fillna({"source_provider": "unknown", "source_licence": "not stated"})
    counts = named.value_counts(["source_provider", "source_licence"]).reset_index()
    return "\n".join(
        f"| {plain(str(row.source_provider))} | {plain(str(row.source_licence))} | {row.count} |"
        for row in counts.itertuples()
    )


def backbone_of(info: Mapping[str, Any]) -> str:
    """The name timm knows the weights by that the model started from."""
    return ".".join(filter(None, (info["architecture"], info["pretrained_cfg"]["tag"])))


def backbone_licence(name: str) -> str:
    """What timm says of the licence of these weights."""
    import timm

    config = timm.models.get_pretrained_cfg(name, allow_unregistered=True)
    return str(getattr(config, "license", None) or "not stated")


def counted(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """How many images of each class (row) were taken for each (column), by the rows of a predictions table whose
    label and answer are one of ``classes`` each.
    """
    both = predictions[predictions["label"].isin(classes) & predictions["predicted"].isin(classes)]
    counts = pd.crosstab(both["label"], both["predicted"])
    return counts.reindex(index=list(classes), columns=list(classes), fill_value=0)


def worst(counts: pd.DataFrame, most: int = MOST) -> pd.DataFrame:
    """The part of a matrix [C, C] with the ``most`` classes that are in most mistakes, in their order; all if fewer."""
    if len(counts) <= most:
        return counts
    values = counts.to_numpy()
    mistakes = values.sum(axis=0) + values.sum(axis=1) - 2 * np.diag(values)
    kept = np.sort(np.argsort(-mistakes, kind="stable")[:most])
    return counts.iloc[kept, kept]


def draw(counts: pd.DataFrame) -> Image.Image:
    """An RGB picture of a matrix [C, C]: rows are what images show, columns what they were taken for."""
    size, side = len(counts), CELL * len(counts)
    small, normal = ImageFont.load_default(13), ImageFont.load_default(15)
    left, top = MARGIN + LABEL, MARGIN + LABEL
    picture = Image.new("RGB", (left + side + MARGIN, top + side + MARGIN), PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((MARGIN, MARGIN), "down: what it shows\nacross: what was said", fill=FAINT, font=small)
    values = counts.to_numpy(dtype=int)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    for row, name in enumerate(counts.index):
        y = top + row * CELL
        shown = _short(str(name), row + 1)
        pen.text((left - 8, y + CELL / 2), shown, fill=INK, font=normal, anchor="rm")
        strip = Image.new("RGB", (LABEL, CELL), PAPER)
        ImageDraw.Draw(strip).text((8, CELL / 2), shown, fill=INK, font=normal, anchor="lm")
        picture.paste(strip.transpose(Image.Transpose.ROTATE_90), (left + row * CELL, MARGIN))
        for column in range(size):
            _cell(pen, (left + column * CELL, y), int(values[row, column]), shares[row, column], row == column, small)
    return picture


def _cell(pen: ImageDraw.ImageDraw, at: tuple[int, int], count: int, share: float, right: bool, font: Font) -> None:
    strength = 0.0 if count == 0 else 0.12 + 0.88 * share
    colour = tuple(round(255 + (end - 255) * strength) for end in (RIGHT if right else WRONG))
    pen.rectangle((*at, at[0] + CELL - 2, at[1] + CELL - 2), fill=colour, outline=(231, 229, 228))
    if count:
        middle = (at[0] + CELL / 2 - 1, at[1] + CELL / 2 - 1)
        pen.text(middle, f"{count}", fill=PAPER if strength > 0.55 else INK, font=font, anchor="mm")


def _short(name: str, number: int, longest: int = 20) -> str:
    """``name`` as the font can draw it: it has Latin letters; a name with others is its number."""
    if any(ord(letter) > LAST_LATIN or not letter.isprintable() for letter in name):
        return f"class {number}"
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
