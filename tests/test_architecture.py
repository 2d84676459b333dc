"""The rules of the design, held by reading the source.

``python tests/test_architecture.py`` prints the rooms, and who imports from whom.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


PACKAGES = ("pipeline", "cleaner")
DOORS = ("app", "cli", "winnow")
# In the order of the work: an import goes to a room that stands earlier, or stays in its own.
ROOMS = (
    "pipeline",
    "pipeline.workspace",
    "pipeline.web",
    "pipeline.model",
    "pipeline.images",
    "pipeline.search",
    "pipeline.jobs",
    "pipeline.collect",
    "pipeline.verify",
    "pipeline.label",
    "pipeline.train",
    "pipeline.dataset",
    "pipeline.ask",
    "pipeline.deploy",
    "pipeline.terminal",
    "pipeline.tabs.page",
    "pipeline.tabs.door",
    "pipeline.tabs.collect",
    "pipeline.tabs.verify",
    "pipeline.tabs.label",
    "pipeline.tabs.train",
    "pipeline.tabs.predict",
    "pipeline.tabs.deploy",
    "pipeline.tabs",
    "cleaner",
    "cleaner.review",
    "cleaner.clean",
    "cleaner.compare",
    "cleaner.tabs.review",
    "cleaner.tabs.compare",
    "cleaner.tabs.clean",
)
MOST_ON_THE_GROUND = 12
MAX_FILE_LINES = 600
# It travels alone into a Space, and cannot be two.
TRAVELS_ALONE, MOST_OF_ONE_THAT_TRAVELS = "pipeline/predict.py", 960
MAX_FUNCTION_LINES = 80
MAX_DOOR_FUNCTION_LINES = 40
MAX_DOOR_BRANCHES = 8
TOOLS_OF_LOGIC = {
    "torch",
    "torchvision",
    "timm",
    "pandas",
    "numpy",
    "PIL",
    "sqlite3",
    "httpx",
    "safetensors",
    "simplejpeg",
}
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}
CONTAINERS = {
    "dict",
    "list",
    "set",
    "defaultdict",
    "Counter",
    "deque",
    "OrderedDict",
    "bytearray",
    "WeakValueDictionary",
}
MUTATORS = {
    "add",
    "append",
    "appendleft",
    "clear",
    "discard",
    "extend",
    "insert",
    "pop",
    "popitem",
    "popleft",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
}
SCRIPTS = {"pipeline.collect.starter.build"}  # run by hand, by who makes the starter set anew; has needs of its own


@dataclass(frozen=True)
class Module:
    """One source file of ours; ``name`` is what one would import."""

    path: Path

    @cached_property
    def name(self) -> str:
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def source(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def file(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def in_tabs(self) -> bool:
        return "tabs" in self.path.parts

    @cached_property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    def imports(self, top_only: bool = False) -> set[str]:
        """The modules that it imports: anywhere, or only those that importing it imports."""
        nodes = _executed_at_import(self.tree) if top_only else ast.walk(self.tree)
        return {name for node in nodes for name in _imported(node)}


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        inside = [f"{node.module}.{alias.name}" for alias in node.names]
        ours = [name for name in inside if _is_file(name)]
        yield from ours
        if len(ours) < len(inside):
            yield node.module


def _is_file(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _executed_at_import(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _executed_at_import(child)


def modules() -> list[Module]:
    """Every module that is there now; those that are still to come are held to the rules when they come."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    doors = [ROOT / f"{door}.py" for door in DOORS]
    return [Module(path) for path in (*doors, *files) if path.is_file()]


MODULES = modules()
PRODUCT = [module for module in MODULES if module.name not in SCRIPTS]
TEMPLATES = [Module(path) for folder in ("spaces", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
# All are parsed now, before any other test has run: CPython 3.11 loses count of the depth of a syntax tree where a
# garbage collection in the midst of it runs somebody's finaliser (SystemError: … recursion depth mismatch).
TREES = [module.tree for module in (*MODULES, *TEMPLATES)]


def _ours(name: str) -> bool:
    return name.split(".")[0] in (*PACKAGES, *DOORS)


def room_of(name: str) -> str:
    """The room that a module of ours stands in: the longest of ROOMS that its name begins with; a door is its own."""
    inside = [room for room in ROOMS if name == room or name.startswith(f"{room}.")]
    return max(inside, key=len, default=name)


def arrows() -> dict[tuple[str, str], list[str]]:
    """(room, room that it imports from) -> the imports, in words."""
    found: dict[tuple[str, str], list[str]] = {}
    for module in MODULES:
        for name in module.imports():
            if _ours(name) and room_of(name) != room_of(module.name):
                found.setdefault((room_of(module.name), room_of(name)), []).append(f"{module.file} imports {name}")
    return found


def test_imports_go_to_rooms_that_stand_earlier() -> None:
    """So there is no circle between rooms; every folder is a room; and nobody imports a door, but that the library's
    face opens the browser's.
    """
    order = {room: number for number, room in enumerate((*ROOMS, *DOORS))}
    wrong = [
        line
        for (room, other), lines in arrows().items()
        for line in lines
        if order[other] > order[room] or (other in DOORS and (room, other) != ("winnow", "app"))
    ]
    assert not wrong, "\n".join(wrong)
    folders = {module.name for module in MODULES if module.path.stem == "__init__"} - {"cleaner.tabs"}
    assert folders == set(ROOMS)


def test_rooms_import_nothing_when_they_are_entered() -> None:
    """Worker processes start quickly."""
    inits = [module for module in MODULES if module.path.stem == "__init__"]
    assert [module.file for module in inits if module.imports()] == []


def test_few_modules_stand_on_the_ground() -> None:
    ground = [module.file for module in MODULES if module.path.parent == ROOT / "pipeline"]
    assert len(ground) - 1 <= MOST_ON_THE_GROUND, ground


def test_every_room_has_its_paragraph() -> None:
    page = (ROOT / "docs" / "layout.md").read_text(encoding="utf-8")
    assert [room for room in ROOMS if f"`{room.replace('.', '/')}/`" not in page] == []


def test_only_tabs_and_the_browsers_door_import_tabs() -> None:
    wrong = [
        f"{module.file} imports {name}"
        for module in MODULES
        for name in module.imports()
        if _ours(name) and ".tabs" in name and not module.in_tabs and module.name != "app"
    ]
    assert not wrong, "\n".join(wrong)


def test_imports_have_no_cycles() -> None:
    graph = {module.name: {name for name in module.imports(top_only=True) if _ours(name)} for module in MODULES}
    assert [" -> ".join(cycle) for cycle in _cycles(graph)] == []


def _cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    found: list[list[str]] = []
    finished: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
        elif name not in finished:
            for following in sorted(graph.get(name, ())):
                visit(following, [*path, name])
            finished.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


def test_gradio_is_imported_in_tabs_and_the_browsers_door_only() -> None:
    wrong = [
        module.file
        for module in MODULES
        if not module.in_tabs and module.name != "app" and any(n.split(".")[0] == "gradio" for n in module.imports())
    ]
    assert not wrong, "\n".join(wrong)


def test_all_imports_are_absolute() -> None:
    wrong = [
        f"{module.file}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_imported_is_named_in_requirements() -> None:
    required = {
        re.split(r"[<>=~!\[ ]", line)[0].lower().replace("_", "-")
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith(("#", "-"))
    }
    providers = importlib.metadata.packages_distributions()
    wrong = sorted(
        f"{module.file} imports {top}"
        for module in PRODUCT
        for top in {name.split(".")[0] for name in module.imports()}
        if top not in sys.stdlib_module_names
        and not _ours(top)
        and not {name.lower().replace("_", "-") for name in providers.get(top, [top])} & required
    )
    assert not wrong, "\n".join(wrong)


def test_the_doors_hold_no_logic() -> None:
    """No tools of logic, no ``while``, no loop in a loop, short functions with few branches."""
    wrong = [f"{door.file}: {words}" for door in MODULES if door.name in DOORS for words in _logic(door)]
    assert not wrong, "\n".join(wrong)


def _logic(door: Module) -> Iterator[str]:
    for name in door.imports():
        if name.split(".")[0] in TOOLS_OF_LOGIC:
            yield f"imports {name}"
    for function in door.functions:
        where = f"{function.name} (line {function.lineno})"
        nodes = list(ast.walk(function))
        loops = [node for node in nodes if isinstance(node, ast.For | ast.While | ast.comprehension)]
        branches = loops + [node for node in nodes if isinstance(node, ast.If | ast.IfExp | ast.Match)]
        lines = _lines(function) - len((ast.get_docstring(function) or "").splitlines())
        if lines > MAX_DOOR_FUNCTION_LINES:
            yield f"{where} has {lines} lines, more than {MAX_DOOR_FUNCTION_LINES}"
        if any(isinstance(node, ast.While) for node in nodes):
            yield f"{where} has a while loop"
        if any(isinstance(inner, ast.For) for loop in loops for inner in ast.walk(loop) if inner is not loop):
            yield f"{where} has a loop in a loop"
        if len(branches) > MAX_DOOR_BRANCHES:
            yield f"{where} has {len(branches)} branches, more than {MAX_DOOR_BRANCHES}"


def test_the_prediction_module_stands_alone() -> None:
    module = next((module for module in MODULES if module.name == "pipeline.predict"), None)
    assert module is not None
    assert [name for name in module.imports() if _ours(name)] == []


def test_the_spaces_folder_is_no_package() -> None:
    """Gradio does ``import spaces`` on Hugging Face: a package of ours by that name would crash the app there."""
    assert sorted((ROOT / "spaces").rglob("__init__.py")) == []
    assert not (ROOT / "spaces.py").exists()
    assert "spaces" in re.split(r"[\n<>=]", (ROOT / "requirements.txt").read_text())


def test_no_module_is_named_for_nothing_in_particular() -> None:
    assert [module.file for module in MODULES if set(module.path.stem.split("_")) & VAGUE_NAMES] == []


def test_a_file_holds_one_subject() -> None:
    """More than 600 lines are seldom one."""
    lengths = {module.file: len(module.source.splitlines()) for module in (*MODULES, *TEMPLATES)}
    assert lengths.pop(TRAVELS_ALONE) <= MOST_OF_ONE_THAT_TRAVELS
    assert {file: lines for file, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_functions_stay_short() -> None:
    lengths = {
        f"{module.file}:{function.lineno} {function.name}": _lines(function)
        for module in (*MODULES, *TEMPLATES)
        for function in module.functions
    }
    assert {where: lines for where, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}
    assert statistics.median(lengths.values()) <= 10
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= 35


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_every_public_name_says_what_it_is() -> None:
    wrong = [f"{module.file}: {name}" for module in MODULES for name in _undocumented(module.tree, module.name)]
    assert not wrong, "\n".join(wrong)


def _undocumented(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> Iterator[str]:
    if not ast.get_docstring(node) and not _is_overload(node):
        yield name
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            public = isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            if public and not child.name.startswith("_"):  # type: ignore[union-attr]
                yield from _undocumented(child, child.name)  # type: ignore[arg-type, union-attr]


def _is_overload(node: ast.AST) -> bool:
    return any("overload" in ast.unparse(decorator) for decorator in getattr(node, "decorator_list", []))


def test_no_error_is_swallowed() -> None:
    wrong = [
        f"{module.file}:{node.lineno}"
        for module in (*MODULES, *TEMPLATES)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and (node.type is None or all(map(_is_nothing, node.body)))
    ]
    assert not wrong, "\n".join(wrong)


def _is_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def test_modules_have_no_changing_state() -> None:
    """Containers at module level are UPPERCASE constants and nobody changes them; no ``global``."""
    wrong = [f"{module.file}:{line}" for module in MODULES for line in _state(module, _all_constants())]
    assert not wrong, "\n".join(wrong)


def _all_constants() -> set[str]:
    return {name for module in MODULES for name, _, _ in _module_containers(module) if name.isupper()}


def _module_containers(module: Module) -> Iterator[tuple[str, int, ast.expr]]:
    for node in module.tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if value is not None and _is_container(value):
            yield from ((target.id, node.lineno, value) for target in targets if isinstance(target, ast.Name))


def _is_container(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return called in CONTAINERS
    return isinstance(node, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp)


def _state(module: Module, constants: set[str]) -> Iterator[str]:
    for name, line, _ in _module_containers(module):
        if not name.isupper() and not name.startswith("__"):
            yield f"{line} {name} is a container at module level and not an UPPERCASE constant"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            yield f"{node.lineno} global {', '.join(node.names)}"
        changed = _changed(node)
        if changed is not None and _last_name(changed) in constants:
            yield f"{changed.lineno} changes {_last_name(changed)}"


def _changed(node: ast.AST) -> ast.expr | None:
    """The expression whose value ``node`` changes in place, if it does."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return node.func.value
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return node.value
    if isinstance(node, ast.AugAssign):
        return node.target
    return None


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


@pytest.mark.slow
def test_importing_a_module_touches_nothing() -> None:
    """No file, no connection, no process, no thread and no component comes of an import of ours."""
    names = [module.name for module in PRODUCT]
    others = {name for module in PRODUCT for name in module.imports() if not _ours(name)} | {"gradio"}
    watch = ROOT / "tests" / "support" / "watch_imports.py"
    ended = subprocess.run(
        [sys.executable, "-B", str(watch), ",".join(names), ",".join(sorted(others))],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == ""


def test_what_benchmarks_hand_to_other_processes_imports_what_there_is() -> None:
    """Their programs are strings, which no checker reads."""
    texts = {
        node.value: module.file
        for module in TEMPLATES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    wrong = [
        f"{file}: {module}.{name}"
        for text, file in texts.items()
        for module, names in re.findall(r"^\s*from ((?:pipeline|cleaner)[\w.]*) import (.+)$", text, re.M)
        for name in re.split(r",\s*", names)
        if not hasattr(importlib.import_module(module), name)
    ]
    assert not wrong, "\n".join(wrong)


def _print_rooms() -> None:
    counts = {room: sum(room_of(module.name) == room for module in MODULES) for room in (*ROOMS, *DOORS)}
    going = arrows()
    for room in (*ROOMS, *DOORS):
        others = [f"{other} ({len(going[room, other])})" for other in (*ROOMS, *DOORS) if (room, other) in going]
        print(f"{room.replace('.', '/')}, {counts[room]} modules")
        print("".join(f"    -> {other.replace('.', '/')}\n" for other in others), end="")


if __name__ == "__main__":
    _print_rooms()
