"""The cache that builds share, as SCons asks for it.

SCons' own cache has the path of a file in its key, and believes what it finds. Here a
key is what a step depends on, whatever its files are called, and what is taken is
verified; ``--cache-disable``, ``--cache-readonly`` and ``--cache-show`` mean the same.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import SCons.Action
import SCons.CacheDir

from mlcx.scons import ending
from mlcx.scons.shared import Shared
from mlcx.scons.step import Step

__all__ = ["StepCache"]


class StepCache(SCons.CacheDir.CacheDir):
    """Takes and stores the targets of steps."""

    def __init__(self, path: object) -> None:
        """Do not make ``path``: the services of a step say where the cache is."""
        del path
        super().__init__(None)

    def is_enabled(self) -> bool:
        """Whether there is a cache to ask."""
        return bool(SCons.CacheDir.cache_enabled)

    def retrieve(self, node: Any) -> bool:
        """Make the file of ``node`` of what is stored; False: nothing is.

        Called from several threads.
        """
        env = node.get_build_env()
        step = env["SPAWN"]
        if not (SCons.Action.execute_actions or env["VERBOSE"]):
            return False  # a table says what is there, and asks for all at once
        shared = step.shared if isinstance(step, Step) else None
        if shared is None:
            return False
        if not SCons.Action.execute_actions:
            return shared.holds()
        return self._take(node, step, shared)

    def _take(self, node: Any, step: Step, shared: Shared) -> bool:
        position = step.targets.index(str(Path(node.get_internal_path())))
        several = len(step.targets) > 1
        # What SCons has taken in part it removes, with what was there before.
        if position == 0 and several and not shared.holds():
            return False
        started = time.monotonic()
        if not shared.take(position):
            return False
        if position < len(step.targets) - 1:
            return True
        with ending.failing(step.services.reporter):
            step.cached(time.monotonic() - started)
        return self._show(node, step)

    def push(self, node: Any) -> None:
        """Do nothing: a step stores what it made before anybody may make the same."""

    def push_if_forced(self, node: Any) -> None:
        """Store the file of ``node``, which is up to date, for ``--cache-force``."""
        step = node.get_build_env()["SPAWN"]
        if not SCons.CacheDir.cache_force or not isinstance(step, Step):
            return
        if shared := step.shared:
            shared.put()

    def get_cachedir_csig(self, node: Any) -> None:
        """Say nothing of a file that is not there yet."""

    def _show(self, node: Any, step: Step) -> bool:
        """Say once that all targets were taken."""
        if SCons.CacheDir.cache_show:
            node.build(presub=0, execute=0)
        elif SCons.Action.print_actions:
            sys.stdout.write(f"Retrieved `{step.target}' from cache\n")
        return True
