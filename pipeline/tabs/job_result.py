"""What a job brought, in a sentence, for those stages that have words of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.tabs.page.show import count, error_rate, percent

RATES = {"suggestion": "the middle of the valley", "steepest": "where the loss falls fastest"}


def result_in_words(stage: str, result: Mapping[str, Any]) -> str:
    """What a job brought, in a sentence; empty for a stage without words of its own."""
    words = _RESULTS.get(stage)
    return words(result) if words else ""


def _imported(result: Mapping[str, Any]) -> str:
    parts = [f"{count(result.get('added', 0), 'picture')} added"]
    if result.get("duplicates"):
        parts.append(f"{result['duplicates']:,} were there already")
    if result.get("failed"):
        first = result["failed"][0]
        parts.append(f"{len(result['failed']):,} not taken (first: {first['path']}: {first['reason'].rstrip('.')})")
    return " ".join([", ".join(parts) + ".", *result.get("notes", ())])


def _found(result: Mapping[str, Any]) -> str:
    missing: dict[str, str] = {}  # each provider once; that one of several knows nothing of a class is no news
    classes = {candidate["label"] for candidate in result.get("candidates", ())}
    for problem in result.get("problems", ()):
        if problem["kind"] != "nothing_found" or problem["label"] not in classes:
            missing.setdefault(problem["provider"], f"{problem['label']}: {problem['reason']}")
    found = f"{count(len(result.get('candidates', ())), 'picture')} found. Look at them in Collect, then download."
    return " ".join([found, *missing.values()])


def _downloaded(result: Mapping[str, Any]) -> str:
    failed = result.get("failed", 0)
    return f"{count(result.get('downloaded', 0), 'picture')} downloaded" + (f", {failed:,} failed." if failed else ".")


def _verified(result: Mapping[str, Any]) -> str:
    aside, groups = len(result.get("set_aside", ())), len(result.get("duplicate_groups", ()))
    return (
        f"{count(result.get('checked', 0), 'picture')} checked: {result.get('ok', 0):,} fine, {aside:,} set aside, "
        f"{count(groups, 'duplicate group')}."
    )


def _trained(result: Mapping[str, Any]) -> str:
    test = (result.get("record") or {}).get("test")
    if not isinstance(test, Mapping) or not test.get("n"):
        return "The new run is in the list."
    baseline = test.get("baseline_error_rate")
    beside = f" Always answering the largest class would be wrong {percent(baseline)} of the time." if baseline else ""
    return f"It is wrong on {error_rate(test)} of the {test['n']:,} test pictures.{beside}"


def _rate_found(result: Mapping[str, Any]) -> str:
    rates = [f"{result[name]:.1e} ({words})" for name, words in RATES.items() if isinstance(result.get(name), float)]
    return f"It suggests {' or '.join(rates)}. The curve is in Train, under More options." if rates else ""


def _answered(result: Mapping[str, Any]) -> str:
    failed = f", {result['failed']:,} could not be used" if result.get("failed") else ""
    return f"{count(result.get('asked', 0), 'picture')}{failed}. The table is in Predict."


def _exported(result: Mapping[str, Any]) -> str:
    pictures = (result.get("parity") or {}).get("images", 0)
    return f"{count(len(result.get('files', ())), 'file')} written; checked on {count(pictures, 'picture')}."


def _tried(result: Mapping[str, Any]) -> str:
    agreed = result.get("agreed") or {}
    pictures = count(agreed.get("images", 0), "golden picture")
    return (
        f"It answers as the model here does, on {pictures} (largest difference {agreed.get('max_difference', 0):.1g})."
    )


def _deployed(result: Mapping[str, Any]) -> str:
    return f"It is at {result.get('url', '')}."


_RESULTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "import_images": _imported,
    "search": _found,
    "download": _downloaded,
    "verify": _verified,
    "train": _trained,
    "find_lr": _rate_found,
    "predict_many": _answered,
    "export": _exported,
    "try_space": _tried,
    "deploy": _deployed,
}
