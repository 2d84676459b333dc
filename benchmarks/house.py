"""How the code is built: its modules, who imports and calls what, and the path of a setting and of a decision.

    python benchmarks/house.py [--root DIR] [--static] [--list]

Modules: every .py file of pipeline/ and cleaner/ but ``__init__.py`` and what made the starter set. An importer is one
of them or a door (app.py, cli.py, winnow.py); an import counts wherever it stands, in a function, too.

Private functions: those at the top of a module whose name starts with one underscore; private methods are told apart. A
reference is the name, read anywhere in the same module. Short: at most four lines from ``def`` to the end.

Paths are taken from two commands as they run, on small made-up pictures, one thread after another. A stop is a function
of ours (no lambda), in the order of first being reached. Training: those that get the TrainConfig, or an object of ours
that holds it, as an argument (``self``, too). Decision: all from the first that gets the image's id to the last
statement by which the store writes it. A climb: the next stop is in another file, one that was left already. Names:
the different parameters and variables of the stops that hold the TrainConfig, or the id or the label.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import inspect
import io
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

PACKAGES, DOORS = ("pipeline", "cleaner"), ("app", "cli", "winnow")
OURS = {*PACKAGES, *DOORS}
SHORT = 4  # lines
CLASSES, PICTURES, SIDE = 3, 36, 64
TRAIN = ("--image-size=32", "--batch-size=8", "--epochs=1", "--layers=all", "--device=cpu")
LABEL = "a class that is new"
WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def modules(root: Path) -> dict[str, ast.Module]:
    """The modules by their file."""
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    ours = [path for path in paths if path.stem != "__init__" and path.parent.name != "starter"]
    return {path.relative_to(root).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in ours}


def importers(root: Path, ours: dict[str, ast.Module]) -> dict[str, list[str]]:
    """The files that import each module."""
    doors = {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in root.glob("*.py") if path.stem in DOORS}
    imports = {file: set(_imported(tree)) for file, tree in {**ours, **doors}.items()}
    return {file: sorted(by for by, files in imports.items() if file in files and file != by) for file in ours}


def _imported(tree: ast.Module) -> Iterator[str]:
    """The files that may be meant: what follows ``import`` is a module or something in one."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{name}" for name in names)]
        yield from (f"{name.replace('.', '/')}.py" for name in names)


def private(tree: ast.Module, methods: bool) -> Iterator[tuple[Function, int]]:
    """The private functions of a module, or its methods, with how often each is referred to in it."""
    nodes = list(ast.walk(tree))
    references = Counter(node.attr for node in nodes if isinstance(node, ast.Attribute))
    if not methods:
        references.update(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    homes = [node for node in nodes if isinstance(node, ast.ClassDef)] if methods else [tree]
    for node in (node for home in homes for node in home.body):
        if isinstance(node, Function) and node.name.startswith("_") and not node.name.startswith("__"):
            yield node, references[node.name]


def lines(function: Function) -> int:
    """From ``def`` to its end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def static(root: Path, listed: bool) -> None:
    """Print what reading the source tells."""
    ours = modules(root)
    logic = {file for file in ours if file.startswith("pipeline/") and "/tabs/" not in file}
    for package in PACKAGES:
        tabs = ["/tabs/" in file for file in ours if file.startswith(f"{package}/")]
        say(f"modules in {package}/: without tabs + tabs", tabs.count(False), "+", tabs.count(True))
    say("modules directly under pipeline/", sum(file.count("/") == 1 for file in logic))
    lengths = [len((root / file).read_text(encoding="utf-8").splitlines()) for file in ours]
    say("lines of a module: median / most", round(statistics.median(lengths)), "/", max(lengths))
    single = {file: by[0] for file, by in importers(root, ours).items() if len(by) == 1}
    say("modules with one importer: all", len(single), "of", len(ours))
    say("modules with one importer: pipeline/ without tabs", len(logic & single.keys()), "of", len(logic))
    short: list[str] = []
    for what, methods in (("functions", False), ("methods", True)):
        found = [(file, *one) for file, tree in ours.items() for one in private(tree, methods)]
        once = [(file, node) for file, node, count in found if count == 1]
        few = [f"{file}:{node.lineno} {node.name}" for file, node in once if lines(node) <= SHORT]
        say(f"private {what} / with one reference / these, short", len(found), "/", len(once), "/", len(few))
        short += few
    if listed:
        print("\nModules with one importer:", *(f"{file}  <- {by}" for file, by in single.items()), sep="\n  ")
        print(
            "\nPrivate, with one reference and short:",
            *sorted(short, key=lambda one: one.split(":")[0]),
            "",
            sep="\n  ",
        )


def say(what: str, *figures: object) -> None:
    """One row of the table."""
    print(f"{what:<64} {' '.join(map(str, figures)):>22}", flush=True)


@dataclass
class Trail:
    """A profiler of this thread: ``stops`` (file, function) of what ``followed`` knows, and its ``names`` in them."""

    root: Path
    followed: Callable[[Any], bool]
    every: bool = False  # from the first function that is handed it, all count
    stops: list[tuple[str, str]] = field(default_factory=list)
    names: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """A function begins or ends."""
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(f"{self.root}{os.sep}"):
            return
        file = Path(code.co_filename).relative_to(self.root).as_posix()
        stop = (file, code.co_qualname)
        if file.split("/")[0].removesuffix(".py") not in OURS or code.co_name.startswith("<"):
            return
        if event == "call" and stop not in self.stops and code.co_flags & inspect.CO_OPTIMIZED:  # no class's body
            count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARARGS)
            handed = any(self._holds(frame.f_locals.get(name)) for name in code.co_varnames[:count])
            if handed or (self.every and self.stops):
                self.stops.append(stop)
        if stop in self.stops:
            known = self.names.setdefault(stop, set())
            unknown = [name for name in frame.f_locals if name not in known and name.isidentifier()]
            known.update(name for name in unknown if self._holds(frame.f_locals[name]))

    def _holds(self, value: Any, seen: frozenset[int] = frozenset()) -> bool:
        """Whether it is what is followed, or an object of ours, the arguments or a tuple with it."""
        if self.followed(value) or id(value) in seen:
            return self.followed(value)
        ours = isinstance(value, argparse.Namespace) or type(value).__module__.split(".")[0] in OURS
        inside = value if isinstance(value, tuple) else getattr(value, "__dict__", {}).values() if ours else ()
        return any(self._holds(one, seen | {id(value)}) for one in list(inside))

    def all_names(self) -> list[str]:
        """Every name once."""
        return sorted(set().union(*(self.names.get(stop, ()) for stop in self.stops)))

    def figures(self) -> str:
        """Stops, files, climbs, names."""
        files = [file for file, _ in self.stops]
        climbs = sum(file in files[:at] and file != files[at - 1] for at, file in enumerate(files))
        return f"{len(files)} / {len(set(files))} / {climbs} / {len(self.all_names())}"


def paths(root: Path) -> dict[str, Trail]:
    """Train and decide by the command line of the code under ``root``, in a process that does nothing after it."""
    os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    sys.path.insert(0, str(root))
    ThreadPoolExecutor.submit = _at_once  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        workspace, pictures = str(Path(folder) / "workspace"), Path(folder) / "pictures"
        draw(pictures)
        command("import", workspace, str(pictures))
        command("verify", workspace)
        training = Trail(root, lambda value: type(value).__name__ == "TrainConfig")
        command("train", workspace, *TRAIN, trail=training)
        image = command("images", workspace)["images"][0]["id"]
        command("decide", workspace, "--id", image, "--keep")  # what is imported on the way is no part of it
        decision = Trail(root, lambda value: isinstance(value, str) and value in (image, LABEL), every=True)
        connect, written = sqlite3.connect, [0]

        def told(statement: str) -> None:
            if statement.split()[0].upper() in WRITES:
                written.append(len(decision.stops))

        def watched(*arguments: Any, **named: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **named)
            connection.set_trace_callback(told)
            return connection

        sqlite3.connect = watched  # type: ignore[assignment]
        command("decide", workspace, "--id", image, "--relabel", LABEL, trail=decision)
        del decision.stops[written[-1] :]
    return {"a training configuration": training, "a decision": decision}


def command(*arguments: str, trail: Trail | None = None) -> Any:
    """What a command answers."""
    import cli

    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()) as told:
        sys.setprofile(trail)
        code = cli.main([*arguments, "--json"])
        sys.setprofile(None)
    if code:
        raise SystemExit(told.getvalue())
    return json.loads(printed.getvalue())


def _at_once(_: ThreadPoolExecutor, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
    done: Future[Any] = Future()
    try:
        done.set_result(work(*arguments, **named))
    except Exception as error:  # noqa: BLE001 - as a thread hands it on
        done.set_exception(error)
    return done


def draw(folder: Path) -> None:
    """Pictures of noise, a folder a class."""
    from PIL import Image

    chance = random.Random(0)
    for number in range(PICTURES):
        target = folder / f"class {number % CLASSES}" / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes("RGB", (SIDE, SIDE), chance.randbytes(SIDE * SIDE * 3)).save(target)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="the checkout to measure")
    parser.add_argument("--static", action="store_true", help="run nothing: no paths")
    parser.add_argument("--list", action="store_true", help="name what is counted, by file")
    args = parser.parse_args()
    static(args.root.resolve(), args.list)
    for what, trail in ({} if args.static else paths(args.root.resolve())).items():
        say(f"{what}: stops / files / climbs / names", trail.figures())
        if args.list:
            print(
                "", *(": ".join(stop) for stop in trail.stops), f"names: {', '.join(trail.all_names())}\n", sep="\n  "
            )


if __name__ == "__main__":
    main()
