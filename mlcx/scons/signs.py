"""Write SCons' signatures down as steps end, so that a killed build keeps them.

SCons itself writes them when it ends, and after a kill would do every step again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import SCons.Node
import SCons.SConsign
import SCons.Util
from SCons.Node.FS import get_default_fs

from mlcx.reasons.hashes import Hashes
from mlcx.scons.database import read
from mlcx.scons.pickles import DamagedError, entries

__all__ = ["digest", "keep", "sign", "signed", "use_sha256"]

_SHA256 = "sha256"

_INDEX = 100
"""Ours among SCons' ways to store what is known of a node."""

_CHEAP = 0.02
"""Seconds of work up to which all is written as each step ends."""

_SHARE = 4
"""Times as long as more work took, nothing is written after it.

A kill loses the steps that have ended in that time, if no other has ended since.
"""


def keep(targets: Iterable[Any], went_on: Callable[[], None]) -> None:
    """Write the signatures of the nodes ``targets`` as soon as they are built.

    ``went_on`` is called before when a script has done more with them than their step.
    """
    SCons.Node.store_info_map[_INDEX] = _WRITER.store
    for target in targets:
        target.store_info = _INDEX
        _WRITER.went_on[target] = went_on


def use_sha256(env: Any) -> None:
    """Let SCons sign files by what records and caches name them by, too.

    Unless somebody chose: then files are hashed once more. The file of signatures is
    called as by default.
    """
    if env.GetOption("hash_format") is None:
        env.SetOption("hash_format", _SHA256)
        if SCons.SConsign.DB_Name is None:
            SCons.SConsign.DB_Name = ".sconsign"


def sign(files: Iterable[Path], hashes: Hashes) -> None:
    """Sign ``files`` that a step is about to read, in the thread of the step.

    SCons would do so before, in the one thread that starts all steps.

    Args:
        files: That SCons knows.
        hashes: What is known of them.
    """
    fs = get_default_fs()
    for path in files:
        node = fs.File(str(path))
        if not hasattr(node.get_ninfo(), "csig") and node.exists():
            node.get_ninfo().csig = digest(node, hashes)


def digest(node: Any, hashes: Hashes) -> str:
    """Return what SCons signs the content of the file ``node`` by."""
    if SCons.Util.get_current_hash_algorithm_used() != _SHA256:
        return str(node.get_content_hash())
    return hashes.of(Path(node.get_abspath()))


def signed(file: Path) -> frozenset[str]:
    """Return the files that SCons has built, by its database in ``file``.

    A database that cannot be read, also since another version of SCons has written it,
    holds nothing, as for SCons itself.
    """
    try:
        known = {key: entries(each) for key, each in read(file).items()}
    except DamagedError:
        return frozenset()
    return frozenset(
        f"{folder}/{name}".removeprefix("./")
        for folder, found in known.items()
        for name, entry in found.items()
        if hasattr(entry.binfo, "bactsig")
    )


class _Writer:
    """Writes all that is new; for the thread that SCons lets look at its graph."""

    def __init__(self) -> None:
        self._last: Any = None
        self.went_on: dict[Any, Callable[[], None]] = {}
        self._free_at = 0.0

    def store(self, node: Any) -> None:
        """Keep what is known of ``node``; SCons calls this when it has been visited."""
        is_made = node.get_state() == SCons.Node.executed
        if is_made and SCons.Node.do_store_info:
            for each in node.children():
                each.get_csig()  # which it has, unless there was no step
        SCons.Node.store_info_file(node)
        if not is_made or node is self._last:
            return
        executor = node.get_executor()
        if node is executor.get_all_targets()[-1]:
            self._last = node
            if executor.post_actions:
                self.went_on[node]()
            self._write()

    def _write(self) -> None:
        if time.monotonic() < self._free_at or not SCons.Node.do_store_info:
            return
        begin = time.thread_time()  # a slow disk or a busy machine is no work
        for file in SCons.SConsign.sig_files:
            file.write(sync=0)
            file.dirty = False
        for database in SCons.SConsign.DB_sync_list:
            database.sync()
        work = time.thread_time() - begin
        if work > _CHEAP:
            self._free_at = time.monotonic() + _SHARE * work


_WRITER = _Writer()
