"""What each contender of benchmarks/predict.py runs: fastai, timm by its documentation, ours in torch and in ONNX."""

from __future__ import annotations

# argv: the model (a folder or a file), the pictures (a JSON file), threads (0: as it likes), when it was started.
FRAME = """
import re
model, pictures, threads, started = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4])
__LOAD__
def work():
    first = ask(pictures[0])
    cold = time.time() - started
    taken = []
    for picture in pictures:
        began = time.perf_counter()
        ask(picture)
        taken.append(time.perf_counter() - began)
    groups = [pictures[at:at + 16] for at in range(0, len(pictures) - 15, 16)]
    together(groups[0])
    began = time.perf_counter()
    for group in groups:
        together(group)
    pace = 16 * len(groups) / (time.perf_counter() - began)
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) / 1024
    said = [[float(share) for share in ask(picture)] for picture in pictures]
    return {"cold": cold, "taken": taken, "pace": pace, "peak": peak, "said": said}
if __name__ == "__main__":
    timed(work)
"""

FASTAI = """
import torch
from fastai.vision.all import load_learner
torch.set_num_threads(threads or torch.get_num_threads())
learn = load_learner(model)
def ask(picture):
    with learn.no_bar():
        return learn.predict(picture)[2].tolist()
def together(group):
    with learn.no_bar():
        return learn.get_preds(dl=learn.dls.test_dl(group, bs=16, num_workers=0))
"""

TIMM = """
import timm, torch
from PIL import Image
from safetensors.torch import load_file
from timm.data import create_transform, resolve_data_config
torch.set_num_threads(threads or torch.get_num_threads())
about = json.load(open(model + "/config.json"))
net = timm.create_model(about["architecture"], num_classes=len(about["label_names"])).eval()
net.load_state_dict(load_file(model + "/model.safetensors"))
transform = create_transform(**resolve_data_config(about["pretrained_cfg"], model=net), is_training=False)
def shares(group):
    with torch.inference_mode():
        batch = torch.stack([transform(Image.open(picture).convert("RGB")) for picture in group])
        return (net(batch) / about["outputs"]["temperature"]).softmax(dim=1).tolist()
def ask(picture):
    return shares([picture])[0]
together = shares
"""

OURS = """
import torch
from pipeline.predict import Classifier
torch.set_num_threads(threads or torch.get_num_threads())
classifier = Classifier.load(model)
def ask(picture):
    return list(classifier.predict([picture])[0].probabilities.values())
def together(group):
    return classifier.predict(group)
"""

ONNX = """
from pipeline.predict import OnnxClassifier
classifier = OnnxClassifier.load(model, threads)
def ask(picture):
    return list(classifier.predict([picture])[0].probabilities.values())
def together(group):
    return classifier.predict(group)
"""

# The same graph, which takes a picture of any size, so one at a time.
OPENVINO = """
sys.modules.setdefault("openvino_telemetry", None)
import numpy as np
import openvino
from pipeline.predict import open_image
settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
settings |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
network = openvino.Core().compile_model(model + "/model.onnx", "CPU", settings)
def ask(picture):
    return network(np.asarray(open_image(picture))[None])[0][0].tolist()
def together(group):
    return [ask(picture) for picture in group]
"""

# argv: a run's folder, the folder of pictures, the file to write. The same network in a Learner, exported as usual.
EXPORT_LEARNER = """
import timm
from fastai.vision.all import *
from safetensors.torch import load_file
folder, pictures, target = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
def work():
    about = json.loads((folder / "config.json").read_text())
    means = Normalize.from_stats(about["preprocessing"]["mean"], about["preprocessing"]["std"], cuda=False)
    resize = Resize(about["preprocessing"]["size"][0], method="crop", resamples=(Image.Resampling.BICUBIC, 0))
    dls = ImageDataLoaders.from_folder(
        pictures, valid_pct=0.5, item_tfms=resize, batch_tfms=means, bs=16, num_workers=0
    )
    assert list(dls.vocab) == about["label_names"]
    net = timm.create_model(about["architecture"], num_classes=len(dls.vocab))
    net.load_state_dict(load_file(folder / "model.safetensors"))
    learn = Learner(dls, net, loss_func=CrossEntropyLossFlat())
    learn.export(target)
    return ""
if __name__ == "__main__":
    timed(work)
"""


def script(load: str) -> str:
    """A contender's script around how it loads and asks its model."""
    return FRAME.replace("__LOAD__", load)
