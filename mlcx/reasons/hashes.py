"""Digests of large files, which all who ask in one run of a build share.

SCons signs a checkpoint, a record names it, and so may a key of the cache: that is of
hundreds of gigabytes, which are to be read for it once and not three times.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from mlcx.spec.digest import digest_file, state

__all__ = ["LARGE", "Hashes"]

LARGE = 1 << 20
"""Bytes from which on a digest is kept: what is smaller is edited, and soon read."""


class Hashes:
    """Of one run; may be asked by any thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int, int], str] = {}
        self._guards: dict[Path, threading.Lock] = {}

    def of(self, path: Path, between: Callable[[], None] = lambda: None) -> str:
        """Return the SHA-256 of ``path``, which is only read again when it has changed.

        Args:
            path: The file.
            between: Called again and again while it is read, and may raise.

        Raises:
            OSError: It cannot be read.
        """
        with self._guards.setdefault(path, threading.Lock()):
            before = _key(path.stat())
            if before not in self._known:
                digest = digest_file(path, between)
                if _key(path.stat()) != before or before[1] < LARGE:
                    return digest
                self._known[before] = digest
            return self._known[before]


def _key(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, *state(found)
