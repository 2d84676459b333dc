"""Verifying: fastai, cleanvision, imagededup and ours, in turn, on photographs and damaged copies; prints ratios.

    PYTHONPATH=. python benchmarks/verify.py [--photos DIR] [--count 2000] [--rounds 3] [--peers PYTHON] [--data DIR]

PYTHON is the interpreter of an environment with the peers (``python -m venv X; X/bin/pip install fastai cleanvision
imagededup``); without it ours runs alone. The pictures are crops of the JPEG photographs below ``--photos``
(``apt-get download gnome-backgrounds lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 mate-backgrounds
plasma-workspace-wallpapers ukui-wallpapers``, then ``dpkg -x FILE DIR`` of each), or of the starter set. ``--data``
keeps them for another time. Every contender is a process of its own and has read the files once before its clock
starts; the CPU time is that of the process and of all it started.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks._contenders import contend
from benchmarks._photographs import copies, damaged, photographs, same_photograph
from benchmarks._verify_scripts import DUPLICATES, FINDING, PASSES, PEERS, VERDICTS

Rounds = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Make the pictures, then run each part: what is found, verdicts alone, everything, duplicates."""
    args = _arguments()
    if not args.peers:
        print("No --peers PYTHON was given: ours runs alone.")
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(args.data or scratch)
        good = photographs(args.photos, data / "good", args.count)
        kinds = damaged(good, data / "damaged", args.damaged)
        copied = copies(good, data / "copies", args.originals, args.copied)
        size = statistics.mean(file.stat().st_size for file in good) / 1024
        print(f"{len(good)} photographs, {size:.0f} KiB each", flush=True)
        _print_found(kinds, {name: _once(args, FINDING, name, data / "damaged") for name in _names(args, FINDING)})
        verdicts = _in_turn(args, VERDICTS, data / "good", len(good), "the verdict alone")
        _ratios(verdicts)
        passes = _in_turn(args, PASSES, data / "good", len(good), "everything of Verify, and the passes of the peers")
        _sums(passes)
        files = sorted(file.stem for file in (data / "copies").iterdir())
        found = _in_turn(args, DUPLICATES, data / "copies", len(files), "duplicates")
        _ratios(found)
        _print_recall(found, files, copied, same_photograph(args.photos))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=Path, help="a folder with large photographs")
    parser.add_argument("--data", help="where the pictures are kept (made where they are not there)")
    parser.add_argument("--count", type=int, default=2000, help="pictures to verify")
    parser.add_argument("--damaged", type=int, default=60, help="damaged pictures of each kind")
    parser.add_argument("--originals", type=int, default=600, help="pictures among which duplicates are looked for")
    parser.add_argument("--copied", type=int, default=60, help="how many of them have a copy of each kind")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", help="the interpreter of an environment that has the peers")
    return parser.parse_args()


def _names(args: argparse.Namespace, scripts: dict[str, str]) -> list[str]:
    return [name for name in scripts if args.peers or name not in PEERS]


def _once(args: argparse.Namespace, scripts: dict[str, str], name: str, folder: Path) -> dict[str, Any]:
    python = args.peers if name in PEERS else sys.executable
    with tempfile.TemporaryDirectory() as scratch:
        return contend(python, scripts[name], folder, scratch)


def _in_turn(args: argparse.Namespace, scripts: dict[str, str], folder: Path, count: int, what: str) -> Rounds:
    """Every contender once a round; prints the medians."""
    rounds: Rounds = {name: [] for name in _names(args, scripts)}
    for _ in range(args.rounds):
        for name, measured in rounds.items():
            measured.append(_once(args, scripts, name, folder))
    print(f"\n{what}, {count} pictures, median of {args.rounds}", flush=True)
    for name, measured in rounds.items():
        seconds, cpu = (statistics.median(row[key] for row in measured) for key in ("seconds", "cpu"))
        print(f"  {name:44} {seconds:7.2f} s  {count / seconds:7.0f} pictures/s  CPU {1000 * cpu / count:6.2f} ms each")
    return rounds


def _ratios(rounds: Rounds) -> None:
    for peer in [name for name in rounds if name in PEERS]:
        for name in [name for name in rounds if name not in PEERS]:
            pairs = zip(rounds[peer], rounds[name], strict=True)
            print(f"  {name} / {peer}: {_middle(theirs['seconds'] / mine['seconds'] for theirs, mine in pairs)}")


def _sums(rounds: Rounds) -> None:
    """Ours, which does it all at once, beside the peers' passes one after the other."""
    ours = [row["seconds"] for row in rounds["ours: verify"]]
    peers = [name for name in rounds if name in PEERS]
    for some in (peers[:3], peers) if peers else ():
        together = [sum(rounds[name][turn]["seconds"] for name in some) for turn in range(len(ours))]
        ratio = _middle(theirs / mine for theirs, mine in zip(together, ours, strict=True))
        print(f"  ours: verify / {' + '.join(some)}: {ratio}")


def _middle(ratios: Any) -> str:
    values = sorted(ratios)
    return f"{statistics.median(values):.2f} x as fast ({values[0]:.2f} to {values[-1]:.2f})"


def _print_found(kinds: list[str], found: dict[str, dict[str, Any]]) -> None:
    """A table: of each kind of damage, the share in per cent that each contender points out."""
    print("\nfound, %" + " " * 26 + "".join(f"{name:>22}" for name in found))
    for kind in kinds:
        cells = []
        for measured in found.values():
            pointed, there = measured["answer"][kind]
            cells.append(f"{100 * pointed / there:.0f}" if isinstance(pointed, int) else pointed)
        print(f"  {kind:32}" + "".join(f"{cell:>22}" for cell in cells))


def _print_recall(rounds: Rounds, files: list[str], kinds: list[str], of: list[str]) -> None:
    """Of each kind of copy, how many are grouped with their original; of other pairs, how many show two photographs,
    and how many are two crops of one. ``of``: what photograph each number in a file's name is of.
    """
    for name, measured in rounds.items():
        groups = [set(group) for group in measured[-1]["answer"]]
        recall = []
        for kind in kinds:
            pairs = [{file, file.split("--")[0]} for file in files if file.endswith(f"--{kind}")]
            recall.append(f"{kind} {sum(any(pair <= group for group in groups) for pair in pairs)} of {len(pairs)}")
        together = {pair for group in groups for pair in combinations(sorted(group), 2)}
        others = [pair for pair in together if pair[0].split("--")[0] != pair[1].split("--")[0]]
        strangers = sum(_photograph(one, of) != _photograph(two, of) for one, two in others)
        print(f"  {name:44} {', '.join(recall)}; two photographs {strangers}, other crops {len(others) - strangers}")


def _photograph(file: str, of: list[str]) -> str:
    number = file.split("-")[0]
    return of[int(number)] if of else number


if __name__ == "__main__":
    main()
