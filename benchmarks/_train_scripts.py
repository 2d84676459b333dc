"""What each contender of benchmarks/train.py runs: fastai's fine_tune, ours, and where the time of ours goes."""

from __future__ import annotations

FASTAI = """
from pathlib import Path
from fastai.vision.all import *
from safetensors.torch import load_file
folder, weights, epochs, seed, classes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
class Clock(Callback):
    order = 60  # after the Recorder
    def after_epoch(self):
        valid_loss, error = self.learn.recorder.values[-1][-2:]
        rows.append([time.perf_counter() - began, float(valid_loss), float(error)])
def work():
    dls = ImageDataLoaders.from_folder(
        folder, train="train", valid="valid", item_tfms=RandomResizedCrop(224, min_scale=0.5), bs=32,
        batch_tfms=[*aug_transforms(), Normalize.from_stats([0.5] * 3, [0.5] * 3)],
    )
    learn = vision_learner(dls, "tf_efficientnet_lite0", pretrained=False, metrics=error_rate, normalize=False)
    missing = learn.model[0].model.load_state_dict(load_file(weights), strict=False)
    assert not missing.missing_keys, missing
    learn.add_cb(Clock())
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(epochs)
    return learn, dls
if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[6]))
    set_seed(seed, True)
    rows, kept = [], []
    began = time.perf_counter()
    def once():
        kept.extend(work())
        return list(rows)
    import io, contextlib
    measured = io.StringIO()
    with contextlib.redirect_stdout(measured):
        timed(once)
    learn, dls = kept
    files = get_image_files(folder / "test")
    with learn.no_bar(), contextlib.redirect_stdout(io.StringIO()):
        test = learn.validate(dl=dls.test_dl(files, with_labels=True))
    line = json.loads(measured.getvalue().strip().splitlines()[-1])
    line["answer"] = {"epochs": line["answer"], "test": float(test[1])}
    print("\\n" + json.dumps(line), flush=True)
"""

OURS = """
import torch
from pipeline.stage import run
from pipeline.train.train import TrainConfig, train
from pipeline.workspace.workspace import Workspace
workspace, seed = Workspace.open(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(int(sys.argv[3]))
settings = json.loads(sys.argv[4])
def work():
    began, rows, phases = time.perf_counter(), [], {}
    def show(progress):
        phase = progress.metrics.get("phase", "other")
        first, last, pictures = phases.get(phase, (time.perf_counter() - began, 0.0, 0))
        phases[phase] = (first, time.perf_counter() - began, max(pictures, progress.done))
        if epoch := progress.metrics.get("epoch"):
            rows.append([time.perf_counter() - began, epoch["valid_loss"], epoch["error_rate"]])
    finished = run(train(workspace, TrainConfig(seed=seed, **settings)), show)
    return {"epochs": rows, "test": finished.test["error_rate"], "decision": finished.record["decision"],
            "phases": phases}
timed(work)
"""

SHARES = """
import torch
import numpy as np
from pipeline.train.data import batches
from pipeline.predict import forward, normalise
from pipeline.stage import run
from pipeline.train.fine_tune import new_optimizer, train_mode
from pipeline.train.train import TrainConfig, prepare
from pipeline.workspace.workspace import Workspace
torch.set_num_threads(int(sys.argv[2]))
def work():
    workspace = Workspace.open(sys.argv[1])
    began = time.perf_counter()
    task, engine = run(prepare(workspace, TrainConfig()))
    dataset, model = task.dataset, engine.model
    rows = dataset.positions("train")
    spent = {"decode": (time.perf_counter() - began) / len(dataset.rows)}
    optimizer, chance = new_optimizer(model, task.config), torch.Generator()
    train_mode(model)
    def add(name, since, count):
        spent[name] = spent.get(name, 0.0) + (time.perf_counter() - since) / count
        return time.perf_counter()
    some = list(batches(rows, 32))[:6]
    count = sum(map(len, some))
    with torch.inference_mode():
        at = time.perf_counter()
        for order in some:
            model.eval()
            batch = torch.from_numpy(dataset.exact[order])
            forward(model, normalise(batch, dataset.preprocessing))
        at = add("frozen forward", at, count)
    train_mode(model)
    for order in some:
        at = time.perf_counter()
        inputs = task.batch(order, task.load(order, engine.ranks), engine.ranks, chance).inputs
        at = add("augment", at, count)
        loss = torch.nn.functional.cross_entropy(forward(model, inputs)[1], task.targets[order])
        at = add("forward", at, count)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        at = add("backward", at, count)
        optimizer.step()
        at = add("optimiser", at, count)
    return spent
timed(work)
"""
