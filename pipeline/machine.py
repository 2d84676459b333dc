"""What differs from machine to machine: processes, limits, files that somebody has open, a disk that takes no more.

Nothing else in the code asks which system it runs on.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import getpass
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WINDOWS = os.name == "nt"
# Windows renames nothing onto, and removes nothing, that another process has open: a virus scanner, a server's answer.
IN_USE_SECONDS = 3.0
NO_MEMORY_LIMIT = (
    "This system takes no limit on the memory of a process, so a picture that is made to take a lot can take it. "
    "Everything else works as elsewhere; only the time that a picture may take is limited."
)
NEAREST = "winnow.nearest"
ALIKE: Mapping[int, str] = str.maketrans(
    {"…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "’": "'", "“": '"', "”": '"', "⟨": "<", "⟩": ">", "→": "->"}
)
# What the disk's own trouble is, and no single file's.
SCARCE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM)


# --- processes -----------------------------------------------------------------------------------------------------


def own_group() -> dict[str, Any]:
    """Arguments of Popen that keep Ctrl-C, and a terminal that is closed, from reaching the child."""
    if WINDOWS:
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200)}
    return {"start_new_session": True}


def python_in(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / "Scripts" / "python.exe" if WINDOWS else environment / "bin" / "python"


def limit_memory(size: int) -> str:
    """Let this process take ``size`` bytes of addresses at most, and leave no core file. Returns why that cannot be
    done, in a sentence; empty where it was. (macOS refuses, Windows has no such limit.)
    """
    try:
        import resource
    except ImportError:
        return NO_MEMORY_LIMIT
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))
    except (OSError, ValueError):
        return NO_MEMORY_LIMIT
    return ""


def limit_file_size(size: int) -> None:
    """Let no file that this process writes grow beyond ``size`` bytes, where the system can hold it to that."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    except (ImportError, OSError, ValueError):
        return


def alarm(seconds: float) -> None:
    """End this process after ``seconds`` (0: never mind); on Windows nothing can."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def user() -> str:
    """Who runs this, so that no two people are the same: their number, or a name where people have none."""
    if hasattr(os, "getuid"):
        return str(os.getuid())
    try:
        return re.sub(r"[^\w.-]", "_", getpass.getuser())
    except (KeyError, OSError, ImportError):
        return "somebody"


def made_private(folder: Path) -> bool:
    """Whether ``folder``, made if it is not there, is one of who runs this, and may be written by them."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return not folder.is_symlink() and is_ours(folder) and os.access(folder, os.W_OK | os.X_OK)


def is_ours(path: Path) -> bool:
    """Whether a file or folder belongs to who runs this; where files have no such owner, whether it is there."""
    return path.exists() and (not hasattr(os, "getuid") or path.stat().st_uid == os.getuid())


def speak_any_text() -> None:
    """Let this process print every text: what a terminal's code page (cp1252, ASCII) has no letter for becomes what
    looks most like it, or ``\\u....``.
    """
    codecs.register_error(NEAREST, _nearest)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and not stream.closed:
            stream.reconfigure(errors=NEAREST)


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(ALIKE)
    return text.encode("ascii", "backslashreplace").decode(), error.end


# --- files ---------------------------------------------------------------------------------------------------------


def may_map() -> bool:
    """Whether a file that is mapped into memory can still be renamed, replaced and removed."""
    return not WINDOWS


def replace(source: Path, target: Path) -> None:
    """Put ``source`` in the place of ``target``, whole or not at all. Where somebody has either open and the system
    does not allow it then, it is tried again for some seconds.
    """
    deadline = time.monotonic() + (IN_USE_SECONDS if WINDOWS else 0.0)
    while True:
        try:
            source.replace(target)
            return
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)


def flush(path: Path) -> None:
    """See to it that a file, or the names in a folder, survive a power cut."""
    if WINDOWS and path.is_dir():  # it opens no folder
        return
    handle = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def free_bytes(path: Path) -> int | None:
    """How many bytes are free where ``path`` is, or would be; None where nobody can tell."""
    there = next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), path)
    try:
        return shutil.disk_usage(there).free
    except OSError:
        return None


def told(error: OSError, path: Path, needed: int | None = None) -> OSError:
    """The error, where it is the disk's trouble, with what could not be written, how many bytes it ``needed`` (None:
    not known) and how many are free; any other as it is.
    """
    if error.errno is None or error.errno not in SCARCE:
        return error
    free = free_bytes(path)
    facts = [str(path)]
    facts += [] if needed is None else [f"{needed:,} bytes to write"]
    facts += [] if free is None else [f"{free:,} bytes free"]
    return OSError(error.errno, f"{os.strerror(error.errno)} ({', '.join(facts)})")
