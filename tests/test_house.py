"""The measuring of how the code is built, on a tree that is made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.house import Trail, importers, modules, static

SOURCES = {
    "cli.py": "def f():\n    from pipeline.train import config\n",
    "pipeline/__init__.py": "",
    "pipeline/errors.py": "def _once():\n    return 1\n\n\nX = _once()\n",
    "pipeline/train/__init__.py": "import pipeline.errors\n",
    "pipeline/train/config.py": "if TYPE_CHECKING:\n    import pipeline.errors\n\n\ndef _idle(): ...\n",
    "pipeline/train/train.py": "from pipeline import errors\nfrom pipeline.errors import X\n\n\n"
    "class A:\n    def _m(self): ...\n    def n(self):\n        return self._m()\n",
    "cleaner/tabs/clean.py": "from pipeline.train.train import A\n\n\n"
    "def _long():\n    a = 1\n    b = 2\n    c = 3\n    return a, b, c\n\n\nY = _long()\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for file, source in SOURCES.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(source)
    return tmp_path


def test_importers_are_found_wherever_the_import_stands(tree: Path) -> None:
    assert importers(tree, modules(tree)) == {
        "pipeline/errors.py": ["pipeline/train/config.py", "pipeline/train/train.py"],
        "pipeline/train/config.py": ["cli.py"],
        "pipeline/train/train.py": ["cleaner/tabs/clean.py"],
        "cleaner/tabs/clean.py": [],
    }


def test_the_table(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    static(tree, listed=True)
    table, single, short = capsys.readouterr().out.split("\n\n", 2)
    assert [row[64:].strip() for row in table.splitlines()] == [
        "3 + 0",
        "0 + 1",
        "1",
        "6 / 11",
        "2 of 4",
        "2 of 3",
        "3 / 2 / 1",
        "1 / 1 / 1",
    ]
    assert single.splitlines()[1:] == [
        "  pipeline/train/config.py  <- cli.py",
        "  pipeline/train/train.py  <- cleaner/tabs/clean.py",
    ]
    assert short.splitlines()[1:] == ["  pipeline/errors.py:1 _once", "  pipeline/train/train.py:6 _m", "  "]


def test_going_back_to_a_file_that_was_left_is_a_climb() -> None:
    stops = [(f"{file}.py", str(number)) for number, file in enumerate("aabacca")]
    assert (
        Trail(Path("/"), bool, stops=stops, names={stops[0]: {"config"}, ("left out", ""): {"x"}}).figures()
        == "7 / 3 / 2 / 1"
    )
