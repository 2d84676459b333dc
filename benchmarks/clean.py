"""Clean and Review at many images and classes: how long their views, decisions and the next picture take.

    PYTHONPATH=. python benchmarks/clean.py [--images 10000] [--classes 200] [--browser] [--keys 60]

Nobody to compare with: the question is whether a wait is felt. The workspace is made up: the first pictures of the
queue are real, the others are on record only. With --browser, Chromium presses K again and again; the time is from the
key to the frame that shows the next picture, decoded.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from cleaner.clean.queues import Queues
from cleaner.clean.suspects import suspects
from cleaner.tabs.clean.queue import Filters, apply, queue_view
from pipeline.images.decode import save_thumbnail
from pipeline.train.config import TrainConfig
from pipeline.workspace.database import now
from pipeline.workspace.records import NewImage, Verdict
from pipeline.workspace.runs import MANIFEST, PREDICTIONS, load_run
from pipeline.workspace.workspace import Workspace

REAL = 400
NEXT = """(key) => new Promise((done) => {
    const root = document.querySelector('#clean-queue .queue');
    const before = root.dataset.id;
    const began = performance.now();
    document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    const look = () => {
        const images = [...root.querySelectorAll('.stage img')].reverse();
        const image = images.find((one) => one.complete && one.naturalWidth);
        if (root.dataset.id === before || !image) return setTimeout(look, 1);
        image.decode().then(() => requestAnimationFrame(
            () => done([performance.now() - began, image.classList.contains('large') ? 1 : 0])));
    };
    look();
})"""


def main() -> None:
    """Make the workspace, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--browser", action="store_true", help="press keys in Chromium, too")
    parser.add_argument("--keys", type=int, default=60, help="how many keys are pressed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # the app may still write
        workspace = made_up(Path(folder) / "made-up", args.images, args.classes)
        print(f"{args.images:,} images, {args.classes} classes")
        measure_views(workspace, args.keys)
        if args.browser:
            measure_keys(workspace, args.keys)


def made_up(root: Path, images: int, classes: int) -> Workspace:
    """A workspace with a run, whose probabilities are drawn; a twentieth of the labels is doubted."""
    workspace = Workspace.create(root)
    chance = np.random.default_rng(0)
    names = [f"class {number:03}" for number in range(classes)]
    labels = chance.integers(0, classes, images)
    logits = chance.normal(0, 1, (images, classes)).astype(np.float32)
    doubted = chance.random(images) < 0.05
    logits[np.arange(images), np.where(doubted, (labels + 1) % classes, labels)] += 9
    likely = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    own = likely[np.arange(images), labels]
    real = set(np.argsort(own)[:REAL].tolist())
    new = [_image(workspace, number, names[labels[number]], number in real) for number in range(images)]
    workspace.store.add_images(new)
    ids = [image.id for image in new]
    workspace.store.record_verdicts([Verdict(image, "ok", "ok", "", 320, 240, "JPEG") for image in ids])
    workspace.store.set_groups({image: image for image in ids})
    splits = ["valid" if number % 5 == 0 else "train" for number in range(images)]
    workspace.store.set_splits(dict(zip(ids, splits, strict=True)))
    columns: dict[str, Any] = {"id": ids, "split": splits, "label": [names[label] for label in labels]}
    columns |= {"predicted": [names[best] for best in likely.argmax(axis=1)], "probability": likely.max(axis=1)}
    columns |= {"loss": -np.log(np.maximum(own, 1e-12)), "out_of_fold": True}
    table = pd.concat([pd.DataFrame(columns), pd.DataFrame(likely, columns=[f"p:{name}" for name in names])], axis=1)
    none: dict[str, float] = {"error_rate": 0.0, "low": 0.0, "high": 0.0, "n": 0, "baseline_error_rate": 0.0}
    record: dict[str, Any] = {
        "id": "made-up",
        "created": now(),
        "config": asdict(TrainConfig(epochs=0)),
        "classes": names,
    }
    record |= {"epochs": [], "valid": none, "test": none, "seconds": 0.0}
    (workspace.runs / "made-up").mkdir()
    table.to_csv(workspace.runs / "made-up" / PREDICTIONS, index=False)
    (workspace.runs / "made-up" / MANIFEST).write_text(json.dumps(record), encoding="utf-8")
    return workspace


def _image(workspace: Workspace, number: int, label: str, real: bool) -> NewImage:
    if not real:
        name = hashlib.sha256(str(number).encode()).hexdigest()
        return NewImage(name, f"{name[:2]}/{name}.jpg", 1, label, "folder", f"{label}/{number}.jpg")
    small = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((1600, 1200), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    image_id, file = workspace.keep(buffer.getvalue(), "jpg")
    save_thumbnail(picture, workspace.thumbnail(image_id))
    return NewImage(image_id, file, len(buffer.getvalue()), label, "folder", f"{label}/{number}.jpg")


def measure_views(workspace: Workspace, count: int) -> None:
    """What the server does: ranking, the view, a decision with the view after it, a batch, an undo."""
    queues = Queues()
    _say("ranking everything (suspects)", [_timed(lambda: suspects(workspace, load_run(workspace)))])
    _say("the tab's first view", [_timed(lambda: queue_view(workspace, Filters(), queues=queues))])
    _say("the view again", [_timed(lambda: queue_view(workspace, Filters(), queues=queues)) for _ in range(10)])
    done = ("", 0)
    decided, batches = [], []
    for number in range(1, count + 1):
        rows = queue_view(workspace, Filters(), queues=queues, whole=False)["rows"]

        def one(number: int = number, rows: Sequence[Any] = rows) -> None:
            action = {"number": number, "kind": "keep", "id": rows[0]["id"], "label": None, "seen": rows[0]["seen"]}
            answer = apply(workspace, "page", [action], done)
            queue_view(workspace, Filters(), rows[1]["id"], answer, queues, whole=False)

        decided.append(_timed(one))
    _say("a decision, journalled, and the view after it", decided)
    for number in range(5):
        rows = queue_view(workspace, Filters(), queues=queues, whole=False, many=True)["rows"][:40]

        def many(number: int = number, rows: Sequence[Any] = rows) -> None:
            items = [{"id": row["id"], "label": None, "seen": row["seen"]} for row in rows]
            action = {"number": 1, "kind": "keep", "id": items[0]["id"], "label": None, "seen": None, "items": items}
            answer = apply(workspace, f"page {number}", [action], done)
            queue_view(workspace, Filters(), None, answer, queues, whole=False)

        batches.append(_timed(many))
    _say("40 decisions at once, and the view after them", batches)
    undo = {"number": 1, "kind": "undo", "id": None, "label": None, "seen": None}
    undone = [_timed(lambda n=n: apply(workspace, f"undo {n}", [undo], done)) for n in range(5)]  # type: ignore[misc]
    _say("an undo of 40", undone)
    _say("asking whether anything changed", [_timed(workspace.store.journal.mark) for _ in range(20)])


def measure_keys(workspace: Workspace, count: int) -> None:
    """From key to the next picture, in Chromium."""
    from playwright.sync_api import sync_playwright

    from app import create_app
    from pipeline.tabs.door.serve import Door, launch_settings
    from tests.browser.conftest import SWITCHES
    from tests.browser.install import find_chromium

    demo = create_app(workspace.root, True)
    demo.queue(default_concurrency_limit=8)
    _, address, _ = demo.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings(Door("127.0.0.1")))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), headless=True, args=SWITCHES)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.get_by_role("tab", name="Collect").wait_for()
        for visit in ("first", "again"):
            began = time.perf_counter()
            page.get_by_role("tab", name="Review").click()
            page.wait_for_selector("#review-matrix button", timeout=120_000)
            page.wait_for_selector("#review-top-losses img", timeout=120_000)
            _say(f"opening Review, to its matrix and top losses, {visit}", [time.perf_counter() - began])
            page.reload()
            page.get_by_role("tab", name="Collect").click()
        began = time.perf_counter()
        page.get_by_role("tab", name="Clean").click()
        page.wait_for_selector("#clean-queue .stage img.large", timeout=120_000)
        _say("opening the tab, to the first picture", [time.perf_counter() - began])
        for pause in (0, 300):
            page.wait_for_timeout(1_000)
            times = []
            for _ in range(count):
                times.append(page.evaluate(NEXT, "k"))
                page.wait_for_timeout(pause)
            _say(f"key to the next picture, a key every {pause} ms after it", [ms / 1000 for ms, _ in times])
            print(
                f"    {sum(large for _, large in times)} of {count} in full size at once, the others as thumbnail first"
            )
        page.keyboard.press("g")
        page.wait_for_selector("#clean-queue .tile")
        began = time.perf_counter()
        page.keyboard.press("a")
        page.keyboard.press("k")
        page.wait_for_selector('#clean-queue .queue[data-unsaved="0"]')
        _say("a screen of pictures kept, to saved", [time.perf_counter() - began])
        browser.close()
    demo.close(verbose=False)


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _say(what: str, seconds: Sequence[float]) -> None:
    middle = 1000 * statistics.median(seconds)
    late = 1000 * float(np.quantile(seconds, 0.95))
    print(f"  {what}: {middle:,.0f} ms" + (f" (95 %: {late:,.0f} ms)" if len(seconds) > 1 else ""), flush=True)


if __name__ == "__main__":
    main()
