"""The components' scripts: modules become one text, and every one of them is JavaScript that a browser can read."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.tabs.page.scripts import glued
from tests.support.paths import ROOT

COMPONENTS = sorted(
    style.with_suffix(".js")
    for room in ("pipeline/tabs", "cleaner/tabs")
    for style in (ROOT / room).rglob("*.css")
    if style.with_suffix(".js").exists() and style.stem != "common"
)
NODE = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
# As Gradio does it; prints what each text returns, or why it cannot be read.
READ = """
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const said = (text) => {
  try {
    const made = new Function('element', 'trigger', 'props', 'server', 'upload', 'watch', text);
    return process.argv[1] === 'run' ? made() : null;
  } catch (error) { return String(error); }
};
console.log(JSON.stringify(texts.map(said)));
"""


def node(texts: list[str], how: str = "read") -> list[object]:
    run = subprocess.run(
        ["node", "-e", READ, how], input=json.dumps(texts), capture_output=True, text=True, check=True, timeout=60
    )
    said: list[object] = json.loads(run.stdout)
    return said


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    return folder / "main.js"


@NODE
def test_every_component_s_script_can_be_read() -> None:
    assert len(COMPONENTS) > 15
    said = node([glued(script) for script in COMPONENTS])
    assert dict(zip([script.name for script in COMPONENTS], said, strict=True)) == {
        script.name: None for script in COMPONENTS
    }


@NODE
def test_modules_keep_their_own_names_and_run_once_in_order(tmp_path: Path) -> None:
    main = written(
        tmp_path,
        base="let count = 0;\nconst own = 1;\nexport const next = () => (count += own);\nnext();\n",
        part="import { next } from './base.js';\nconst own = 10;\nexport function two() { return own * next(); }\n",
        main="import {\n  next,\n} from './base.js';\nimport { two } from './part.js';\n"
        "const own = 7;\nreturn [own, two(), next()];\n",
    )
    text = glued(main)
    assert "import" not in text and "export" not in text
    assert node([text], "run") == [[7, 20, 3]]


@NODE
def test_comments_on_lines_of_their_own_do_not_travel(tmp_path: Path) -> None:
    before, between = "/**\n * @type {string}\n */\n", "  /** @type {string} */\n// alone\n"
    main = written(tmp_path, main=f"{before}const a = 'x'; // said\n{between}return a + '/** y */';\n")
    assert glued(main) == "const a = 'x'; // said\nreturn a + '/** y */';\n"
    assert node([glued(main)], "run") == ["x/** y */"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"main": "import { b } from './base.js';\n", "base": "export const a = 1;\n"}, "imports b, which base.js"),
        ({"main": "import { a as b } from './base.js';\n", "base": "export const a = 1;\n"}, "cannot be glued: import"),
        ({"main": "import a from './base.js';\n", "base": ""}, "cannot be glued: import a"),
        ({"main": "export let a = 1;\n"}, "cannot be glued: export let"),
        ({"main": "import { a } from './base.js';\n", "base": "import { b } from './main.js';\n"}, "main.js > base.js"),
    ],
)
def test_what_cannot_be_glued_is_refused(tmp_path: Path, files: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        glued(written(tmp_path, **files))


def test_what_is_installed_is_pinned_and_no_registry_is_named() -> None:
    described = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    assert described["private"] and not described.get("dependencies")
    assert all(version[0].isdigit() for version in described["devDependencies"].values())
    assert "://" not in (ROOT / "package-lock.json").read_text(encoding="utf-8")
