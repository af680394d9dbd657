"""The levels of a store as one cache: never in the way of a build.

What is taken is verified; what is damaged is removed and reported. A level that fails
is reported once, and left alone from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple, Protocol

from mlcx.errors import MlcxError
from mlcx.store.entry import DamagedError, Entry
from mlcx.store.locks import Locks, Waiting

__all__ = ["Cache", "Found", "Level"]


class Level(Protocol):
    """A store of entries: ``FolderStore``, ``RemoteStore``."""

    @property
    def name(self) -> str:
        """Where it is."""

    def look_ahead(self, keys: Collection[str]) -> None:
        """Be told that ``find`` is about to be asked for each of ``keys``."""

    def find(self, key: str) -> Entry | None:
        """Return the entry of ``key``; None: there is none."""

    def take(self, entry: Entry, target: Path) -> bool:
        """Make ``target`` of what ``entry`` promises; False: it is gone.

        Raises:
            BuildError: ``target`` cannot be written.
        """

    def put(self, entry: Entry, file: Path, *, replace: bool = False) -> None:
        """Store ``file``, which ``entry`` describes."""

    def discard(self, key: str) -> None:
        """Remove the entry of ``key`` and what it promises."""


class Found(NamedTuple):
    """What is stored for a key."""

    entry: Entry
    level: str
    """The name of the nearest level that has it."""


class Cache:
    """What builds made, here and elsewhere."""

    def __init__(
        self,
        levels: Sequence[Level],
        warn: Callable[[str], None],
        *,
        readonly: bool = False,
        locks: Locks | None = None,
    ) -> None:
        """Take the levels, the nearest first.

        Args:
            levels: What a level has is kept in those before it.
            warn: Is told what went wrong.
            readonly: Nothing is stored, and nothing removed.
            locks: Of what is being made; None: two may make the same at once.
        """
        self._levels = list(levels)
        self._failed: set[str] = set()
        self._warn, self._readonly = warn, readonly
        self._locks = locks

    def holds(self, key: str) -> str | None:
        """Return the name of the level that has ``key``; None: there is none."""
        found = self.find(key)
        return None if found is None else found.level

    def find(self, key: str) -> Found | None:
        """Return what is stored for ``key``, and where; None: nothing is."""
        return self.find_all([key]).get(key)

    def find_all(self, keys: Iterable[str]) -> dict[str, Found]:
        """Return what is stored for ``keys``; a level far away is asked at once."""
        found: dict[str, Found] = {}
        waiting = list(dict.fromkeys(keys))
        for level in self._levels:
            with self._guarded(level, ""):
                if self._works(level):
                    level.look_ahead(waiting)
            for key in waiting:
                with self._guarded(level, key):
                    entry = level.find(key) if self._works(level) else None
                    if entry is not None:
                        found[key] = Found(entry, level.name)
            waiting = [key for key in waiting if key not in found]
        return found

    def take(self, key: str, target: Path) -> Entry | None:
        """Make ``target`` of what is stored for ``key``; None: nothing, or damaged.

        Raises:
            BuildError: ``target`` cannot be written, of which no level is to blame.
        """
        return self._take(self._levels, key, target)

    def take_near(self, key: str, target: Path) -> Entry | None:
        """Do the same with what the first level has."""
        return self._take(self._levels[:1], key, target)

    def _take(self, levels: list[Level], key: str, target: Path) -> Entry | None:
        for number, level in enumerate(levels):
            with self._guarded(level, key):
                entry = level.find(key) if self._works(level) else None
                if entry is not None and level.take(entry, target):
                    self._put(levels[:number], entry, target)
                    return entry
        return None

    def put(self, key: str, file: Path, label: str, *, replace: bool = False) -> None:
        """Store ``file`` for ``key``: what is there already stays, or is replaced."""
        self._put(self._levels, Entry.of(key, file, label), file, replace)

    def making(
        self, key: str, waiting: Waiting = lambda: False
    ) -> AbstractContextManager[None]:
        """Let nobody else on this machine make what ``key`` means.

        Whoever does is waited for; look with ``take_near`` what has come of it.
        """
        return nullcontext() if self._locks is None else self._locks.held(key, waiting)

    def _put(
        self, levels: list[Level], entry: Entry, file: Path, replace: bool = False
    ) -> None:
        for level in levels:
            with self._guarded(level, entry.key, (OSError, MlcxError)):
                if self._works(level) and not self._readonly:
                    level.put(entry, file, replace=replace)

    def _works(self, level: Level) -> bool:
        return level.name not in self._failed

    @contextmanager
    def _guarded(
        self,
        level: Level,
        key: str,
        faults: tuple[type[OSError | MlcxError], ...] = (OSError,),
    ) -> Iterator[None]:
        """Report what goes wrong in ``level``: ``faults``, what is damaged as well."""
        try:
            try:
                yield
            except DamagedError as error:
                self._warn(f"cache {level.name}: {error}: it is not used")
                if not self._readonly:
                    level.discard(key)
        except faults as error:
            self._fail(level, error)

    def _fail(self, level: Level, error: Exception) -> None:
        if self._works(level):
            self._failed.add(level.name)
            said = str(error).removeprefix(f"{level.name}: ")
            self._warn(f"cache {level.name}: {said}: going on without it")
