"""Why a step runs: its inputs now, held against the record of the run before."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath

from mlcx.policy import VARIABLE, Policy
from mlcx.reasons.changes import Change, between, of_texts
from mlcx.reasons.held import Files, Held, hold, linked, made
from mlcx.reasons.record import Content, Record, Records, facts, look, options
from mlcx.signature.facts import SOURCES
from mlcx.steps.parts import Part, differs, fault
from mlcx.steps.requests import Request

__all__ = ["Look", "Why"]

Look = Callable[[Path, Content | None], Content | None]
"""What ``mlcx.reasons.record.look`` is."""


class Why:
    """Answers for the requests of one build folder."""

    def __init__(self, records: Records, policy: Policy, look: Look = look) -> None:
        """Take what was, and what there is now: ``look`` may know what is to come."""
        self.records = records
        self._look = look
        self._policy = policy
        self._found: dict[str, tuple[Change, ...]] = {}
        self._makers: dict[str, Request] = {}
        self._readers: dict[Path, list[Request]] | None = None
        self._read: dict[str, Files | None] = {}
        self._touched: set[str] = set()
        self.held = Held(records.name)
        """What has been found of files that steps made."""

    def know(self, request: Request) -> None:
        """Take note of what makes the targets of ``request``."""
        for path in request.targets:
            self._makers[self.records.name(path)] = request
        self._readers = None

    def found(self, request: Request) -> tuple[Change, ...]:
        """Return the changes that were found first, when the step was about to run."""
        name = self.records.name(request.targets[0])
        if name not in self._found:
            self._found[name] = self.changes(request)
        return self._found[name]

    def ended(self, request: Request, seconds: float | None) -> None:
        """Write down what the targets of ``request`` were made from."""
        because = self.found(request) if seconds is not None else ()
        self._write(self._record(request, seconds, because))

    def went_on(self, request: Request) -> None:
        """Write down how files are that were written to behind their step, by right."""
        record = self.records.read(self.records.name(request.targets[0]))
        if record is not None:
            self._write(replace(record, files=self._hold(request)))

    def _write(self, record: Record) -> None:
        self.records.write(record)
        self._read.pop(record.target, None)

    def is_touched(self, source: Path, target: str) -> bool:
        """Whether ``source`` is there, but another file than ``target`` was made from.

        Its size, time and inode say so; its content may well be the same.
        """
        maker = self._makers.get(target)
        last = None if maker is None else self._last(maker)
        before = last and last.sources.get(self.records.name(source))
        try:
            if not last or not before or before.stands(source.stat()):
                return False
        except OSError:
            return False
        self._touched.add(last.target)
        return True

    def _last(self, request: Request) -> Files | None:
        """Return what the record of ``request`` says of files; None: there is none.

        Of each it is read once, as long as nobody writes it.
        """
        name = self.records.name(request.targets[0])
        if name not in self._read:
            record = self.records.read(name)
            self._read[name] = None if record is None else Files.of(record)
        return self._read[name]

    def looked_again(self, request: Request) -> None:
        """Write down how the inputs stand that were touched, of what is up to date."""
        name = self.records.name(request.targets[0])
        right = self.held.right(name)
        touched = right or name in self._touched
        record = self.records.read(name) if touched else None
        if record is not None:
            sources = self._look_at(request, record.sources)
            files = {**record.files, **right}
            self._write(replace(record, sources=sources, files=files))

    def changes(self, request: Request) -> tuple[Change, ...]:
        """Return all that changed since the step last ran, as files are now."""
        record = self.records.read(self.records.name(request.targets[0]))
        return tuple(self._changes(request, record))

    def _changes(self, request: Request, record: Record | None) -> Iterator[Change]:
        missing = [path for path in request.targets if not path.exists()]
        if record is None and missing:
            yield self._new(request)
            return
        inputs = [] if record is None else list(self.inputs(request, record))
        for name in map(self.records.name, missing):
            # What is made now for the first time comes of an input that is new.
            if record is None or not inputs or name in record.files:
                yield Change("missing", name)
        part = self._fault(request) or ("" if inputs else self._differs(request))
        part = part or self._altered(request, made(request), "made")
        if part:
            yield Change("damaged", part)
        if self._policy.redoes(request.verb):
            yield Change("policy", f"{VARIABLE}={self._policy.name}")
        if record is None:
            yield self._unrecorded(request)
        yield from inputs

    def _new(self, request: Request) -> Change:
        """Return that ``request`` was never done, and what was in its place.

        That is what those that read its target have read before.
        """
        name = self.records.name(request.targets[0])
        for reader in self._reading(request.targets[0]):
            record = self.records.read(self.records.name(reader.targets[0]))
            if record is None:
                continue
            now = set(map(self.records.name, reader.sources))
            twin = _twin(name, _gone(record, now))
            before = self.records.read(twin)
            if before is not None and before.verb == request.verb:
                because = tuple(self.inputs(request, before))
                return Change("new", name, old=twin, because=because)
        return Change("new", name)

    def _reading(self, path: Path) -> list[Request]:
        """Return the steps that read ``path``."""
        found = self._readers
        if found is None:
            found = {}
            for request in self._makers.values():
                for source in request.sources:
                    found.setdefault(source, []).append(request)
            self._readers = found  # at once, for other threads
        return found.get(path, [])

    def _unrecorded(self, request: Request) -> Change:
        name = self.records.name(request.targets[0])
        if self.records.has(name):
            return Change("record", self.records.name(self.records.path(name)))
        # Pinning a model has brought some of its files already.
        return Change("new" if request.is_shared else "unknown", name)

    def damage(self, request: Request) -> str:
        """Say which part of what ``request`` made SCons cannot miss; empty: none."""
        found = self._fault(request) or self._differs(request)
        return found or self._altered(request, made(request), "made")

    def rotten(self, request: Request) -> str:
        """Say which shard that ``request`` would link is not what it was; empty: none.

        Of those that no step makes: others are made again before.
        """
        ours = any(self.records.name(path) in self._makers for path in request.sources)
        wrong = "" if ours else self._altered(request, linked(request), "bundled")
        return f"{wrong}: put the model there anew" if wrong else ""

    def _altered(self, request: Request, parts: Iterable[Part], since: str) -> str:
        """Say which of ``parts`` holds something else than before; empty: none."""
        last = self._last(request)
        name = self.held.altered(last, parts) if last else ""
        return f"{name} changed since it was {since}" if name else ""

    def _fault(self, request: Request) -> str:
        if not request.targets[0].exists():
            return ""
        reasons = (fault(target) for target in request.targets if target.exists())
        return self.records.within(next(filter(None, reasons), ""))

    def _differs(self, request: Request) -> str:
        if request.verb != "bundle" or not request.targets[0].exists():
            return ""
        reasons = map(differs, request.targets, request.sources)
        return self.records.within(next(filter(None, reasons), ""))

    def inputs(self, request: Request, record: Record) -> Iterator[Change]:
        """Yield how the inputs of ``request`` differ from those of ``record``."""
        yield from _options(options(request.options), record.options)
        yield from self._sources(request, record)
        now = facts(request.facts)
        for name in sorted(now.keys() | record.facts.keys()):
            old, new = record.facts.get(name, {}), now.get(name, {})
            yield from _fact(name, old, new)

    def _sources(self, request: Request, record: Record) -> Iterator[Change]:
        now = {self.records.name(path): path for path in request.sources}
        gone = _gone(record, now)
        for name, path in now.items():
            before = record.sources.get(name)
            # A config lies in another folder when its overrides are other ones.
            twin = name if before else _twin(name, gone)
            gone.pop(twin, None)
            yield from self._source(name, path, twin, record)
        yield from (Change("source", name, how="removed") for name in gone)

    def _source(
        self, name: str, path: Path, twin: str, record: Record
    ) -> Iterator[Change]:
        before = record.sources.get(twin)
        after = self._look(path, before)
        if before is None:
            yield Change("source", name, how="added")
        elif after is None or after.sha256 == before.sha256:
            # Moved: what lies elsewhere with the same content is no change.
            if after is None and twin != name:
                because = self._moved(name, twin)
                moved = Change("moved", PurePath(name).name, "", twin, name)
                yield replace(moved, because=because)
        else:
            same = twin == name
            because = self._because(name, record) if same else self._moved(name, twin)
            for change in _contents(name, before, after):
                yield replace(change, because=because)

    def _moved(self, source: str, twin: str) -> tuple[Change, ...]:
        """Return how what makes ``source`` differs from what made its ``twin``."""
        request, record = self._makers.get(source), self.records.read(twin)
        if request is None or record is None:
            return ()
        return tuple(self.inputs(request, record))

    def _because(self, source: str, record: Record) -> tuple[Change, ...]:
        """Return why the step that made ``source`` has run since ``record``."""
        maker = self.records.read(source)
        if maker is None or maker.ended <= record.ended:
            return ()
        return maker.because

    def _record(
        self, request: Request, seconds: float | None, because: tuple[Change, ...]
    ) -> Record:
        name = self.records.name(request.targets[0])
        last = self.records.read(name)
        known = last.sources if last else {}
        return Record(
            target=name,
            verb=request.verb,
            ended=round(time.time(), 3),
            seconds=seconds,
            options=options(request.options),
            facts=facts(request.facts),
            sources=self._look_at(request, known),
            because=because,
            files=self._hold(request),
        )

    def _hold(self, request: Request) -> dict[str, Content]:
        found = hold([*made(request), *linked(request)])
        return {self.records.name(path): each for path, each in found.items()}

    def _look_at(
        self, request: Request, known: Mapping[str, Content]
    ) -> dict[str, Content]:
        names = {self.records.name(path): path for path in request.sources}
        looked = {
            name: self._look(path, known.get(name)) for name, path in names.items()
        }
        return {name: found for name, found in looked.items() if found}


def _gone(record: Record, now: Container[str]) -> dict[str, str]:
    """Return the files that were read and are not ``now``, each by its name."""
    return {name: name for name in record.sources if name not in now}


def _twin(name: str, gone: dict[str, str]) -> str:
    """Return which of the files that are ``gone`` has the name of a new one."""
    same = (each for each in gone if PurePath(each).name == PurePath(name).name)
    return next(same, name)


def _options(now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted(now.keys() | before.keys()):
        yield from of_texts("option", name, before.get(name), now.get(name))


def _contents(name: str, before: Content, after: Content) -> Iterator[Change]:
    if before.values is not None and after.values is not None:
        found = list(between("source", name, before.values, after.values))
        if found:
            yield from found
            return
    if before.size == after.size:
        yield Change("source", name)
    else:
        yield Change("source", name, "", _bytes(before), _bytes(after))


def _bytes(content: Content) -> str:
    return f"{content.size:,} bytes"


def _fact(
    name: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[Change]:
    hashed = name.startswith(SOURCES)
    for part in sorted(old.keys() | new.keys()):
        for change in of_texts("fact", name, old.get(part), new.get(part)):
            field = " ".join(filter(None, (part, change.field)))
            values = (None, None) if hashed else (change.old, change.new)
            yield Change("fact", name, field, *values, change.how)
