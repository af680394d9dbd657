"""Write SCons' signatures down as steps end, so that a killed build loses none.

SCons itself writes them when it ends, and after a kill would do every step again.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import SCons.Node
import SCons.SConsign

from mlcx.scons.database import read

__all__ = ["keep", "signed"]

_INDEX = 100
"""Ours among SCons' ways to store what is known of a node."""

_SHARE = 4
"""Times as long as writing took, nothing is written after it."""


def keep(targets: Iterable[Any]) -> None:
    """Write the signatures of the nodes ``targets`` as soon as they are built."""
    SCons.Node.store_info_map[_INDEX] = _WRITER.store
    for target in targets:
        target.store_info = _INDEX


def signed(file: Path) -> frozenset[str]:
    """Return the files that SCons has built, by its database in ``file``.

    A database that cannot be read, also since another version of SCons has written it,
    holds nothing, as for SCons itself.
    """
    try:
        # Ours and as trusted as the files beside it, which a build runs.
        entries = {key: pickle.loads(each) for key, each in read(file).items()}  # noqa: S301
    except Exception:  # unpickling raises whatever there is
        return frozenset()
    return frozenset(
        f"{folder}/{name}".removeprefix("./")
        for folder, found in entries.items()
        for name, entry in found.items()
        if hasattr(entry.binfo, "bactsig")
    )


class _Writer:
    """Writes all that is new; for the thread that SCons lets look at its graph."""

    def __init__(self) -> None:
        self._last: Any = None
        self._free_at = 0.0

    def store(self, node: Any) -> None:
        """Keep what is known of ``node``; SCons calls this when it has been visited."""
        SCons.Node.store_info_file(node)
        if node.get_state() != SCons.Node.executed or node is self._last:
            return
        if node is node.get_executor().get_all_targets()[-1]:
            self._last = node
            self._write()

    def _write(self) -> None:
        begin = time.monotonic()
        if begin < self._free_at or not SCons.Node.do_store_info:
            return
        for file in SCons.SConsign.sig_files:
            file.write(sync=0)
            file.dirty = False
        for database in SCons.SConsign.DB_sync_list:
            database.sync()
        end = time.monotonic()
        self._free_at = end + _SHARE * (end - begin)


_WRITER = _Writer()
