"""The cache that builds share, as SCons asks for it.

SCons' own cache has the path of a file in its key, and believes what it finds. Here a
key is what a step depends on, whatever its files are called, and what is taken is
verified; ``--cache-disable``, ``--cache-readonly`` and ``--cache-show`` mean the same.
What is fetched lies in a folder of the user's, which is a cache of its own.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import SCons.Action
import SCons.CacheDir

from mlcx.errors import BuildError
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
        if not isinstance(step, Step):
            return False
        if step.request.is_shared:
            return step.is_held and self._taken(node, step, time.monotonic())
        if step.shared is None:
            return False
        if not SCons.Action.execute_actions:
            return step.shared.holds()
        return self._take(node, step, step.shared)

    def _take(self, node: Any, step: Step, shared: Shared) -> bool:
        position = _position(node, step)
        several = len(step.targets) > 1
        # What SCons has taken in part it removes, with what was there before.
        if position == 0 and several and not shared.holds():
            return False
        started = time.monotonic()
        try:
            if not shared.take(position):
                return False
        except BuildError:  # the target cannot be written, as its step will say
            return False
        return self._taken(node, step, started)

    def _taken(self, node: Any, step: Step, started: float) -> bool:
        """Write down that all targets were taken, when the last one was."""
        if _position(node, step) < len(step.targets) - 1:
            return True
        if SCons.Action.execute_actions:
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
            name = step.request.shown or step.target
            sys.stdout.write(f"Retrieved `{name}' from cache\n")
        return True


def _position(node: Any, step: Step) -> int:
    """Return which of the targets of ``step`` the file of ``node`` is."""
    return step.targets.index(str(Path(node.get_internal_path())))
