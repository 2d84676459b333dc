"""How a network's threads wait for one another: as OpenMP has it by itself (they spin for long), and as Winnow sets it.

    PYTHONPATH=. python benchmarks/waiting.py [--busy 0 2] [--rounds 3] [--spins N|asleep]

Each figure is of a process of its own, in turn: tf_efficientnet_lite0 on random pixels in torch, one picture at a time
and eight, milliseconds a picture; while so many other processes compute (``--busy``).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from pipeline.endings import wait_quietly

ASK = """
import time, timm, torch
model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
with torch.inference_mode():
    for size in (1, 8):
        batch = torch.randn(size, 3, 224, 224)
        model(batch)
        began = time.perf_counter()
        for _ in range(24 // size):
            model(batch)
        print((time.perf_counter() - began) / 24 * 1000)
"""
BUSY = "while True: sum(range(100000))"


def asked(ours: bool, spins: str = "") -> list[float]:
    """[one at a time, eight at a time] in ms a picture; ``spins``: another number of spins, or "asleep"."""
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    if ours and spins:
        environment |= {"OMP_WAIT_POLICY": "PASSIVE"} if spins == "asleep" else {"GOMP_SPINCOUNT": spins}
    elif ours:
        wait_quietly(environment)
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def main() -> None:
    """One line for each number of busy processes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 2], help="processes that compute beside it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spins", default="", help="another GOMP_SPINCOUNT than ours, or 'asleep' for PASSIVE")
    args = parser.parse_args()
    for busy in args.busy:
        others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(busy)]
        try:
            rounds = [(asked(False), asked(True, args.spins)) for _ in range(args.rounds)]
        finally:
            for other in others:
                other.kill()
                other.wait()
        for number, what in enumerate(("one at a time", "eight at a time")):
            spun, slept = (statistics.median(one[way][number] for one in rounds) for way in (0, 1))
            sys.stdout.write(
                f"{busy} busy beside it, {what}: {spun:.1f} ms, {slept:.1f} ms as set ({spun / slept:.2f}x)\n"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
