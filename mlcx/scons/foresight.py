"""What the next build would do with each step, told without starting one.

Goes on from what is known to come: a file that a cache has, or that a lock file pins,
has a known content before it is there. What is not known is said to be open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlcx.policy import VARIABLE, Policy
from mlcx.reasons.changes import OPEN, Change, summary
from mlcx.reasons.record import Content, Records, look
from mlcx.reasons.why import Why
from mlcx.report.journal import Journal
from mlcx.report.outlook import MADE, Fate, Outlook
from mlcx.scons.explain import Unsigned
from mlcx.spec.hub import POLICY, DownloadPolicy
from mlcx.steps.disk import held, pinned
from mlcx.steps.keys import CACHED_VERBS, keys
from mlcx.steps.requests import Folders, Request
from mlcx.store.cache import Cache, Found
from mlcx.toolchain.needs import report

__all__ = ["Foresight", "Setting"]

_LARGE = 1 << 26
"""Bytes from which on a file is not read to tell whether a cache has what it makes."""


@dataclass(frozen=True)
class Setting:
    """What decides on builds besides the requests."""

    folders: Folders
    policy: Policy
    downloads: DownloadPolicy
    cache: Cache | None
    """None: it is switched off."""


@dataclass(frozen=True)
class _Study:
    """What is known of a step before a cache is asked."""

    request: Request
    changes: tuple[Change, ...]
    waits: tuple[Path, ...]
    """Its sources whose content is open."""
    certain: bool
    """Whether it is not up to date for sure."""
    names: tuple[str, ...] | None
    """What its targets are stored under; None: open, or nothing is."""


class Foresight:
    """Knows all that builds in a folder would do, and what earlier ones left."""

    def __init__(
        self, top: Path, setting: Setting, journal: Journal, asked: Iterable[Request]
    ) -> None:
        """Take the folder ``top`` in which builds run, and all that they would do."""
        self._setting, self._journal = setting, journal
        self._records = Records(top, setting.folders.build)
        self._why = Why(self._records, setting.policy, self._look)
        self._unsigned = Unsigned(top)
        self._asked = {each.targets[0]: each for each in asked}
        self._makers = {
            path: each for each in self._asked.values() for path in each.targets
        }
        self._told: dict[Path, Outlook] = {}
        self._making: dict[tuple[str, ...], Path] = {}
        """The first target of each key that is to be built."""
        self._coming: dict[Path, Content | None] = {}
        """What files will be that are made again; None: that is open."""
        for request in self._asked.values():
            self._why.know(request)

    def all(self) -> list[Outlook]:
        """Return what would be done with each step, in the order of the requests."""
        for wave in self._waves():
            studies = [self._study(request) for request in wave]
            found = self._in_cache(studies)
            for study in studies:
                self._told[study.request.targets[0]] = self._tell(study, found)
        return [self._told[target] for target in self._asked]

    def _waves(self) -> list[list[Request]]:
        """Return the requests; what one is made from is in a list before its own."""
        waves: dict[int, list[Request]] = {}
        depths: dict[Path, int] = {}

        def depth(request: Request) -> int:
            target = request.targets[0]
            if target not in depths:
                makers = filter(None, map(self._makers.get, request.sources))
                depths[target] = 1 + max(map(depth, makers), default=0)
            return depths[target]

        for request in self._asked.values():
            waves.setdefault(depth(request), []).append(request)
        return [waves[each] for each in sorted(waves)]

    def _study(self, request: Request) -> _Study:
        changes = self._why.changes(request)
        changes = (*changes, *self._others(request, changes))
        waits = tuple(path for path in request.sources if self._is_open(path))
        certain = any(change.kind not in OPEN for change in changes)
        names = self._keys(request) if certain else None
        return _Study(request, changes, waits, certain, names)

    def _tell(self, study: _Study, cached: Mapping[str, Found]) -> Outlook:
        request, names = study.request, study.names
        found = [cached[name] for name in names or () if name in cached]
        if not study.changes and not study.waits:
            return self._with_fate(request, "up to date", "")
        since = summary(study.changes, 1) or _if(study.waits)
        if self._setting.policy.compiles and (lack := _lack(request)):
            self._expect_made(request)
            return self._with_fate(request, "refused", lack)
        if found and len(found) == len(names or ()):
            self._expect(request, found)
            return self._taken(request, since, found)
        if not self._setting.downloads.always and held(request):
            plain = self._with_fate(request, "in cache", since)
            return replace(plain, level=str(request.output), bytes=_pinned(request))
        self._expect_made(request)
        if not study.certain:
            return self._with_fate(request, "perhaps", since)
        may = self._may_be_taken(request, names)
        fate: Fate = "to build or take" if may else "to build"
        if refused := self._refused(request):
            fate = "perhaps" if may else "refused"
            since = f"unless cached: {refused}" if may else refused
        return self._with_fate(request, fate, since)

    def _others(self, request: Request, changes: Iterable[Change]) -> Iterator[Change]:
        """Yield what is no matter of records, besides ``changes``."""
        if not any(change.kind == "new" for change in changes):
            yield from self._unsigned(request)
        if request.is_shared and self._setting.downloads.always:
            yield Change("policy", f"{POLICY}={self._setting.downloads.name}")

    def _keys(self, request: Request) -> tuple[str, ...] | None:
        """Return what its targets are stored under; None: open, or nothing is."""
        if not self._shares(request):
            return None
        return keys(request, lambda path: self._digest(request, path))

    def _shares(self, request: Request) -> bool:
        forced = self._setting.policy.redoes(request.verb)
        known = request.verb in CACHED_VERBS
        return known and not forced and self._setting.cache is not None

    def _in_cache(self, studies: Iterable[_Study]) -> Mapping[str, Found]:
        """Return what the cache has, which may be far away and is asked at once."""
        cache = self._setting.cache
        names = (name for study in studies for name in study.names or ())
        return {} if cache is None else cache.find_all(names)

    def _may_be_taken(self, request: Request, names: tuple[str, ...] | None) -> bool:
        """Whether a build may find in the cache what is not there yet."""
        if names is None:
            return self._shares(request)
        first = self._making.setdefault(names, request.targets[0])
        if first == request.targets[0]:
            return False
        # Which of the equal ones is made first, nobody knows.
        if first in self._told:
            self._told[first] = replace(self._told[first], fate="to build or take")
        return True

    def _refused(self, request: Request) -> str:
        policy = self._setting.policy
        if policy.refuses(request.verb):
            return f"{VARIABLE} is {policy.name}"
        return _lack(request)

    def _expect(self, request: Request, found: Iterable[Found]) -> None:
        for path, each in zip(request.targets, found, strict=True):
            self._coming[path] = Content(each.entry.size, each.entry.sha256)

    def _expect_made(self, request: Request) -> None:
        """Note what the targets will be: of a download a lock file knows it."""
        pinned = dict(request.facts[0].parts) if request.verb == "fetch" else {}
        for path in request.targets:
            digest = pinned.get(path.name)
            self._coming[path] = Content(0, digest) if digest else None

    def _is_open(self, path: Path) -> bool:
        return path in self._coming and self._coming[path] is None

    def _look(self, path: Path, before: Content | None) -> Content | None:
        """Return what will be in ``path``; what is open is taken for unchanged."""
        if path not in self._coming:
            return look(path, before)
        return self._coming[path] or before

    def _digest(self, request: Request, path: Path) -> str:
        """Return the SHA-256 that ``path`` will have.

        Raises:
            FileNotFoundError: That is open, or would take long to find out.
        """
        record = self._records.read(self._records.name(request.targets[0]))
        before = record.sources.get(self._records.name(path)) if record else None
        large = before is None and path.exists() and path.stat().st_size > _LARGE
        is_known = not self._is_open(path) and (path in self._coming or not large)
        found = self._look(path, before) if is_known else None
        if found is None:
            raise FileNotFoundError(path)
        return found.sha256

    def _taken(self, request: Request, since: str, found: list[Found]) -> Outlook:
        plain = self._with_fate(request, "in cache", since)
        levels = sorted((each.level for each in found), key=_is_remote)
        total = sum(each.entry.size for each in found)
        remote = _is_remote(levels[-1])
        return replace(plain, remote=remote, level=levels[-1], bytes=total)

    def _with_fate(self, request: Request, fate: Fate, since: str) -> Outlook:
        target = self._records.name(request.targets[0])
        built = self._journal.before(target)
        return Outlook(
            request.verb,
            request.about,
            target,
            fate,
            since,
            bytes=built.bytes if built else _pinned(request),
            seconds=built.seconds if built and fate in MADE else None,
        )


def _pinned(request: Request) -> int | None:
    """Return the bytes that a download brings, by its lock file; None: it is none."""
    return sum(file.size for file in pinned(request)) or None


def _lack(request: Request) -> str:
    """Say which tools are missing, without which no build begins; empty: none."""
    others = len(request.lacks) - 1
    more = f"; and {others} more" if others > 0 else ""
    return report(request.lacks[:1]) + more


def _is_remote(level: str) -> bool:
    return "://" in level


def _if(waits: Iterable[Path]) -> str:
    first, *others = dict.fromkeys(path.name for path in waits)
    if not others:
        return f"if {first} changes"
    return f"if {first} or {len(others)} more change"
