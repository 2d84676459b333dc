"""What must not grow without end: values kept in memory, files and folders kept for a while."""

from __future__ import annotations

import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class LastUsed(Generic[Key, Value]):
    """The ``most`` values that were used last, by key. Several threads may share it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: Key) -> Value | None:
        """The value of ``key``, which is used by that; None where there is none (any more)."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Key, value: Value) -> list[Key]:
        """Keep ``value``, in place of the one before; the one that was not used for longest goes where it is full.

        Returns the keys that went.
        """
        went = []
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self.most:
                went.append(self._values.popitem(last=False)[0])
        return went

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._values

    def __iter__(self) -> Iterator[Key]:
        with self._lock:
            return iter(list(self._values))

    def get_or(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of ``key``, made and kept where there is none; whoever else asks waits meanwhile."""
        with self._lock:
            value = self._values[key] if key in self._values else make()
            self.put(key, value)
            return value


def forget_old(paths: Iterable[Path], seconds: float) -> None:
    """Remove the files and folders that were last changed more than so many seconds ago.

    What another process removes meanwhile is gone, too; what cannot be removed stays until somebody tries again.
    """
    oldest = time.time() - seconds
    remove(path for path in paths if (changed := last_changed(path)) is not None and changed < oldest)


def forget_all_but(paths: Iterable[Path], newest: int) -> None:
    """Remove files and folders but the ``newest`` so many, by when they were last changed; see :func:`forget_old`."""
    remove(sorted(paths, key=lambda path: last_changed(path) or 0.0, reverse=True)[newest:])


def last_changed(path: Path) -> float | None:
    """When a file or folder was last changed, in seconds since 1970; None where it is gone."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return None


def remove(paths: Iterable[Path]) -> None:
    """Remove files and whole folders; what cannot be removed stays."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
