"""The files of onnxruntime-web: fetched once, held to checksums, and said in words where they cannot be had."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from pipeline.deploy.space import PACKAGE, SHA256, VERSION, is_here, user_cache, web_runtime
from pipeline.errors import ExportError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in of npm is a shell script")


def npm(folder: Path, script: str) -> str:
    """A program that stands in for npm; its last argument is where it puts the package."""
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\nfor target; do :; done\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def package(folder: Path, files: dict[str, bytes]) -> Path:
    archive = folder / "package.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in files.items():
            (folder / "member").write_bytes(data)
            tar.add(folder / "member", f"package/dist/{name}")
    return archive


def test_without_npm_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=rf"Install Node\.js .* or put ort\.wasm\.min\.js, .* into {tmp_path}"):
        web_runtime(tmp_path, npm="no-such-npm")


def test_what_is_not_as_it_was_published_is_not_used(tmp_path: Path) -> None:
    archive = package(tmp_path, dict.fromkeys(SHA256, b"another"))
    with pytest.raises(ExportError, match="is not what was published"):
        web_runtime(tmp_path / "cache", npm(tmp_path, f'cp {archive} "$target/"'))


def test_a_package_without_the_files_and_a_broken_one_are_refused(tmp_path: Path) -> None:
    archive = package(tmp_path, {"other.js": b""})
    with pytest.raises(ExportError, match="cannot be unpacked"):
        web_runtime(tmp_path / "cache", npm(tmp_path, f'cp {archive} "$target/"'))
    with pytest.raises(ExportError, match="cannot be unpacked"):
        web_runtime(tmp_path / "cache", npm(tmp_path, 'echo broken > "$target/a.tgz"'))


def test_what_npm_complains_of_is_said(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=f"npm could not fetch {PACKAGE} {VERSION}: no network today"):
        web_runtime(tmp_path / "cache", npm(tmp_path, "echo no network today >&2; exit 1"))
    with pytest.raises(ExportError, match="StopIteration"):
        web_runtime(tmp_path / "cache", npm(tmp_path, "exit 0"))


def test_files_that_are_there_need_no_npm(tmp_path: Path) -> None:
    if not is_here():
        pytest.skip("onnxruntime-web is not here: python tests/browser/install.py fetches it")
    assert web_runtime(npm="no-such-npm") == user_cache()
    files = {name: (user_cache() / name).read_bytes() for name in SHA256}
    archive = package(tmp_path, files)
    found = web_runtime(tmp_path / "cache", npm(tmp_path, f'cp {archive} "$target/"'))
    assert sorted(path.name for path in found.iterdir()) == sorted(SHA256)
