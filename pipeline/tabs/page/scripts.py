"""Make one script of a component's: Gradio takes a text, and the files are modules that import from one another."""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r"^import \{\s*([\w$]+(?:,\s*[\w$]+)*),?\s*\} from '(\.[^']*\.js)';\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|function|class) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*(?://.*|/\*\*(?:(?!\*/)[\s\S])*\*/[ \t]*)\n", re.MULTILINE)


def glued(script: Path) -> str:
    """The script with everything it imports before it, each module in a scope of its own, as in the browser. Comments
    that have lines of their own stay behind: they are a third of what would travel with every page.

    Modules may say ``import { a, b } from './file.js';`` and ``export const`` (or ``function``, ``class``), each at the
    start of a line. Raises ValueError for any other form, for a name that is not exported there and for a circle.
    """
    done: dict[Path, str] = {}
    exported: dict[Path, list[str]] = {}
    parts: list[str] = []

    def add(file: Path, above: tuple[Path, ...]) -> None:
        if file in above:
            raise ValueError(f"{file} imports itself: {' > '.join(one.name for one in (*above, file))}.")
        if file in done:
            return
        text = file.read_text(encoding="utf-8")
        taken: list[str] = []
        for names, where in _IMPORT.findall(text):
            other = (file.parent / where).resolve()
            add(other, (*above, file))
            wanted = re.split(r",\s*", names)
            if unknown := sorted(set(wanted) - set(exported[other])):
                raise ValueError(f"{file} imports {', '.join(unknown)}, which {other.name} does not export.")
            taken.append(f"const {{ {', '.join(wanted)} }} = {done[other]};\n")
        exported[file] = _EXPORT.findall(text)
        body = "".join(taken) + _COMMENT.sub("", _EXPORT.sub("", _IMPORT.sub("", text)))
        if odd := _OTHER.search(body):
            raise ValueError(f"{file}: this form cannot be glued: {odd.group()}")
        done[file] = f"module{len(done)}"
        if not above:
            parts.append(body)
        else:
            give = f"return {{ {', '.join(exported[file])} }};\n"
            parts.append(f"const {done[file]} = (() => {{\n{body}{give}}})();\n")

    add(script.resolve(), ())
    return "".join(parts)
