"""The cache that builds share, as SCons asks for it.

SCons' own cache has the path of a file in its key, and believes what it finds. Here a
key is what a step depends on, whatever its files are called, and what is taken is
verified; ``--cache-disable``, ``--cache-readonly`` and ``--cache-show`` mean the same.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import SCons.Action
import SCons.CacheDir

from mlcx.scons import ending
from mlcx.scons.step import Step
from mlcx.spec.digest import digest_json
from mlcx.store.cache import Cache

__all__ = ["CACHED_VERBS", "StepCache", "key"]

CACHED_VERBS = {"compile", "normalize", "reference-logits", "measure-quality"}
"""Verbs all of whose files are targets: a conversion's shards, say, are not."""

_VERSION = 1
"""Of what a key is made of."""


def key(node: Any) -> str:
    """Return the name of what a step makes as the target ``node``.

    The content of all that it depends on, its command without paths, and which of the
    step's targets it is: two models that compile to the same have the same.
    """
    executor = node.get_executor()
    position = executor.get_all_targets().index(node)
    inputs = [child.get_csig() for child in node.children()]
    command = executor.get_contents().decode(errors="replace")
    suffix = Path(node.name).suffix
    return digest_json([_VERSION, command, inputs, position, suffix])


class _Asked(NamedTuple):
    """Who asks for what."""

    step: Step
    cache: Cache
    key: str
    target: Path


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
        asked = self._asked(node)
        if asked is None or not asked.step.takes_cached:
            return False
        if not SCons.Action.execute_actions:
            return asked.cache.holds(asked.key) is not None and self._show(node)
        started = time.monotonic()
        if asked.cache.take(asked.key, asked.target) is None:
            return False
        if asked.step.is_last(str(asked.target)):
            with ending.failing(asked.step.services.reporter):
                asked.step.cached(time.monotonic() - started)
        return self._show(node)

    def push(self, node: Any) -> None:
        """Store the file of ``node``; what goes wrong is only reported."""
        asked = self._asked(node)
        if asked is not None and not self.is_readonly():
            step = asked.step
            label = f"{step.verb} {step.about}".rstrip()
            replace = not step.takes_cached
            asked.cache.put(asked.key, asked.target, label, replace=replace)

    def get_cachedir_csig(self, node: Any) -> None:
        """Say nothing of a file that is not there yet."""

    def _asked(self, node: Any) -> _Asked | None:
        step = node.get_build_env()["SPAWN"]
        if not self.is_enabled() or not isinstance(step, Step):
            return None
        cache = step.services.cache
        target = Path(node.get_internal_path())
        return None if cache is None else _Asked(step, cache, key(node), target)

    def _show(self, node: Any) -> bool:
        if SCons.CacheDir.cache_show:
            node.build(presub=0, execute=0)
        elif SCons.Action.print_actions:
            sys.stdout.write(f"Retrieved `{node.get_internal_path()}' from cache\n")
        return True
