"""The app of demo.py on Hugging Face's ZeroGPU: the model waits on the CPU's side, each answer borrows a GPU.

    pip install -r requirements.txt
    python app.py

Without a GPU, or elsewhere, it answers on the CPU.
"""

from __future__ import annotations

import spaces  # isort: skip # before torch: on ZeroGPU it stands in for CUDA until an answer is asked for
import torch
from demo import HERE, serve
from predict import BadModel, Classifier, Picture, Prediction

SECONDS = 15
try:
    classifier = Classifier.load(HERE, device="cuda" if torch.cuda.is_available() else "cpu")
except BadModel as error:
    raise SystemExit(f"This model cannot be used: {error}") from None


@spaces.GPU(duration=SECONDS)
def ask(pictures: list[Picture]) -> list[Prediction]:
    """What the model says about each picture."""
    return classifier.predict(pictures)


if __name__ == "__main__":
    serve(HERE, ask)
