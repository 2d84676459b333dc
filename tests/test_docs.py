"""What the documentation says is so. ``python -m tests.test_docs > docs/commands.md`` writes the commands anew."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shlex
from pathlib import Path

import gradio
import pytest
import yaml

from pipeline.terminal.arguments import parser
from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(commands.choices)


def commands_page() -> str:
    """docs/commands.md, made from the parsers themselves."""
    lines = ["# Commands", "", "Written by `python -m tests.test_docs > docs/commands.md`; a test keeps it true.", ""]
    for name, command in parsers().items():
        lines += [f"## {name}", "", f"{command.description}", "", "| argument | meaning |", "| --- | --- |"]
        for action in command._actions:
            if action.dest != "help":
                choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
                about = (action.help or "").replace("|", "\\|")
                lines.append(f"| `{' '.join(action.option_strings) or action.metavar}` | {about}{choices} |")
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


def test_the_python_of_the_readme_names_what_there_is() -> None:
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


if __name__ == "__main__":
    print(commands_page())
