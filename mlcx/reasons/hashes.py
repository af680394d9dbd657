"""Digests of large files, which all who ask in one run of a build share.

SCons signs a checkpoint, a record names it, and so may a key of the cache: that is of
hundreds of gigabytes, which are to be read for it once and not three times.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from mlcx.spec.digest import digest_file, state

__all__ = ["LARGE", "Hashes", "Watch"]

LARGE = 1 << 20
"""Bytes from which on a digest is kept: what is smaller is edited, and soon read."""

Watch = Callable[[Path], AbstractContextManager[Callable[[int], object]]]
"""Gives, for a file, what is told of the bytes that are read of it, and may raise."""


def _unwatched(_: Path) -> AbstractContextManager[Callable[[int], object]]:
    return nullcontext(lambda _: None)


class Hashes:
    """Of one run; may be asked by any thread."""

    def __init__(self, watch: Watch = _unwatched) -> None:
        """Let ``watch`` look on while large files are read."""
        self._watch = watch
        self._known: dict[tuple[int, int, int, int], str] = {}
        self._guards: dict[Path, threading.Lock] = {}

    def of(self, path: Path) -> str:
        """Return the SHA-256 of ``path``, which is only read again when it has changed.

        Raises:
            OSError: It cannot be read.
            Exception: What looks on raises, to end that.
        """
        with self._guards.setdefault(path, threading.Lock()):
            before = _key(path.stat())
            if before[1] < LARGE:
                return digest_file(path)
            if before not in self._known:
                with self._watch(path) as told:
                    digest = digest_file(path, told)
                if _key(path.stat()) != before:
                    return digest
                self._known[before] = digest
            return self._known[before]


def _key(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, *state(found)
