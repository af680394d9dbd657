"""What one step takes from the cache that builds share, and stores in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import SCons.CacheDir

from mlcx.spec.digest import digest_file
from mlcx.steps.keys import keys
from mlcx.steps.requests import Request
from mlcx.store.cache import Cache

__all__ = ["Shared"]


@dataclass(frozen=True)
class Shared:
    """The cache, as a step with ``keys`` for its targets asks for it."""

    cache: Cache
    request: Request
    keys: tuple[str, ...]
    takes: bool
    """Whether what is stored will do; else it is replaced."""
    digest: Callable[[Path], str]
    """Returns the SHA-256 of a source."""

    @classmethod
    def of(
        cls,
        cache: Cache | None,
        request: Request,
        takes: bool,
        digest: Callable[[Path], str] = digest_file,
    ) -> Shared | None:
        """Return what ``request`` shares; None: nothing, or the cache is off."""
        if cache is None or not SCons.CacheDir.cache_enabled:
            return None
        found = keys(request, digest)
        return None if found is None else cls(cache, request, found, takes, digest)

    def holds(self) -> bool:
        """Whether all targets could be taken."""
        return self.takes and all(self.cache.holds(key) for key in self.keys)

    def take(self, position: int) -> bool:
        """Make the target at ``position`` of what is stored; False: nothing is."""
        key, target = self.keys[position], self.request.targets[position]
        return self.takes and self.cache.take(key, target) is not None

    def take_near(self) -> bool:
        """Make all targets of what this machine has stored; False: it has not."""
        pairs = zip(self.keys, self.request.targets, strict=True)
        return self.takes and all(self.cache.take_near(*pair) for pair in pairs)

    def put(self) -> bool:
        """Store all targets; what goes wrong is only reported.

        Returns:
            False: A source is no longer what it was when this was asked for, so that
            nobody knows what the targets are made of, and none is stored.
        """
        if keys(self.request, self.digest) != self.keys:
            return False
        if SCons.CacheDir.cache_readonly:
            return True
        label = f"{self.request.verb} {self.request.about}".rstrip()
        for key, target in zip(self.keys, self.request.targets, strict=True):
            self.cache.put(key, target, label, replace=not self.takes)
        return True

    def making(self, waiting: Callable[[], bool]) -> AbstractContextManager[None]:
        """Let nobody else on this machine make the same meanwhile.

        Args:
            waiting: Called while somebody does; True: do not wait any longer.
        """
        if SCons.CacheDir.cache_readonly:
            return nullcontext()
        return self.cache.making(self.keys[0], waiting)
