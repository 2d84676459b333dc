"""What the documentation says is so. ``python -m tests.test_docs > docs/commands.md`` writes the commands anew."""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import io
import pkgutil
import re
import shlex
import tokenize
from functools import cache
from pathlib import Path
from token import COMMENT

import gradio
import pytest
import yaml

import winnow
from pipeline.terminal.arguments import Command, parser
from tests.support.paths import ROOT

PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
    *sorted((ROOT / "docs").glob("*.md")),
]
OURS = ("pipeline", "cleaner")
PATH = re.compile(r"(?<![\w./-])(?:pipeline|cleaner|tests|benchmarks|docs|spaces)/[\w./*-]*[\w*/]")
# Written by a run of the tests.
WRITTEN = ("tests/durations.json",)
DOTTED = re.compile(r"(?<![\w./-])(?:pipeline|cleaner)(?:\.[A-Za-z_]\w*)+(?![\w/])")


def parsers() -> dict[str, Command]:
    """The parser of each command."""
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return {name: command.filled() for name, command in commands.choices.items()}


def commands_page() -> str:
    """docs/commands.md, made from the parsers themselves."""
    lines = ["# Commands", "", "Written by `python -m tests.test_docs > docs/commands.md`; a test keeps it true.", ""]
    for name, command in parsers().items():
        lines += [f"## {name}", "", f"{command.description}", "", "| argument | meaning |", "| --- | --- |"]
        for action in command._actions:
            if action.dest != "help":
                about = ((action.help or "") % vars(action)).replace("|", "\\|")
                lines.append(f"| `{' '.join(action.option_strings) or action.metavar}` | {about} |")
        lines.append("")
    return "\n".join(lines)


def test_every_command_and_argument_is_documented() -> None:
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8").strip() == commands_page().strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_front_matter_makes_the_repository_a_space() -> None:
    _, front, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    settings = yaml.safe_load(front)
    assert settings["sdk"] == "gradio" and settings["app_file"] == "app.py" and (ROOT / "app.py").is_file()
    assert settings["sdk_version"] == gradio.__version__
    assert re.fullmatch(r"3\.1[123]\.\d+", settings["python_version"])
    assert len(settings["short_description"]) <= 60


def test_the_commands_of_the_tour_are_commands() -> None:
    tour = re.findall(r"^python cli\.py (\S+) (.*?)(?:\s+#.*)?$", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert len(tour) > 8
    for command, arguments in tour:
        parsers()[command].parse_args(shlex.split(arguments))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_have_the_arguments_it_names(page: Path) -> None:
    commands = parsers()
    for command, arguments in re.findall(r"cli\.py ([a-z][a-z-]*)([^`\n#]*)", page.read_text(encoding="utf-8")):
        known = {option for action in commands[command]._actions for option in action.option_strings}
        assert set(re.findall(r"--[a-z][a-z0-9-]*", arguments)) <= known, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_names_what_there_is(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
                module = importlib.import_module(str(node.module))
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "w":
                assert node.attr in winnow.__all__


def test_what_is_named_by_its_path_is_there() -> None:
    wrong = [
        f"{place}: {path}"
        for place, words in told().items()
        for path in PATH.findall(words)
        if path not in WRITTEN and not any(ROOT.glob(path.rstrip("/")))
    ]
    assert wrong == []


def test_what_is_named_with_its_module_is_there() -> None:
    wrong = [f"{place}: {name}" for place, words in told().items() for name in DOTTED.findall(words) if not there(name)]
    assert wrong == []


def test_the_tour_of_the_rooms_names_files_that_stand_in_them() -> None:
    for paragraph in (ROOT / "docs" / "layout.md").read_text(encoding="utf-8").split("\n\n"):
        rooms = ["", *re.findall(r"`((?:pipeline|cleaner)/[\w/]*)`", paragraph)]
        files = re.findall(r"`(\w+\.(?:py|js|css))`", paragraph)
        assert [file for file in files if not any((ROOT / room / file).is_file() for room in rooms)] == []


@cache
def told() -> dict[str, str]:
    """Page or source file -> its words; those of a source file are its docstrings and comments."""
    pages = {page.name: page.read_text(encoding="utf-8") for page in PAGES if page.name != "CHANGELOG.md"}
    files = [file for folder in (*OURS, "tests", "benchmarks") for file in ROOT.glob(f"{folder}/**/*.py")]
    return pages | {str(file.relative_to(ROOT)): _words(file) for file in (*files, *ROOT.glob("*.py"))}


def _words(file: Path) -> str:
    with tokenize.open(file) as opened:
        source = opened.read()
    comments = [one.string for one in tokenize.generate_tokens(io.StringIO(source).readline) if one.type == COMMENT]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    gc.disable()  # CPython 3.11 loses count of a tree's depth where a collection in the midst of it runs a finaliser
    try:
        tree = ast.parse(source)
    finally:
        gc.enable()
    nodes = (node for node in ast.walk(tree) if isinstance(node, documented))
    return "\n".join([*comments, *(ast.get_docstring(node) or "" for node in nodes)])


def there(name: str) -> bool:
    """Whether a module by its rooms, or a name in it, can be had."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


if __name__ == "__main__":
    print(commands_page())
