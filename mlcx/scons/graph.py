"""From requests to SCons nodes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

import SCons.Node.FS

from mlcx.errors import BuildError, UsageError
from mlcx.scons import signs
from mlcx.scons.builders import BUILDERS, words
from mlcx.scons.cache import StepCache
from mlcx.scons.declared import Declared
from mlcx.scons.session import Session
from mlcx.scons.step import Step
from mlcx.spec.folder import found_instead
from mlcx.spec.resolve import hub_settings
from mlcx.steps.keys import CACHED_VERBS
from mlcx.steps.parts import made_beside
from mlcx.steps.requests import Request
from mlcx.toolchain.needs import report

__all__ = ["Graph"]

_Nodes = list[Any]


class Graph:
    """Declares requests in an environment; an equal request is declared once."""

    def __init__(self, env: Any, session: Session) -> None:
        self._env = env.Clone(tools=[])
        self._env.Replace(
            ENV=env["MLCX_ENV"],
            ESCAPE=str,
            # The interpreter is no input: the packages that it loads are named.
            IMPLICIT_COMMAND_DEPENDENCIES=False,
        )
        self._env.Decider(self._has_changed)
        self._env.CacheDir("", StepCache)
        if session.mode.plans and not env["VERBOSE"]:
            # A table says it all, and in other words than SCons, which cannot tell what
            # comes of a step that it only pretends to run.
            self._env["PRINT_CMD_LINE_FUNC"] = _say_nothing
        self._session = session
        self._forced: set[str] = set()
        """Targets that are made again although nothing changed."""
        self._hashed: set[Any] = set()
        """Files that were touched, and whose signature is that of their content."""
        self._read: set[Any] = set()
        """Sources of steps, besides which a script may name others."""

    def declare(self, requests: Iterable[Request]) -> _Nodes:
        """Return the nodes that ``requests`` make.

        Raises:
            BuildError: Tools are missing, and not all that can be made is asked for.
            UsageError: Two requests make one file in different ways, or something else
            than a file is where one is read or made.
        """
        asked = list(requests)
        self._check_tools(asked)
        return [node for request in asked for node in self._nodes(request)]

    def _check_tools(self, asked: list[Request]) -> None:
        """Say what is missing before the first step starts, not after hours."""
        mode, services = self._session.mode, self._session.services
        message = report(lack for request in asked for lack in request.lacks)
        if not message or not mode.builds or not services.policy.compiles:
            return
        if not mode.keeps_going:
            raise BuildError(message)
        services.reporter.error(message)

    def _nodes(self, request: Request) -> _Nodes:
        known = self._session.find(request)
        if known is None:
            known = Declared(request, *self._declare(request))
            self._session.add(known)
        return list(known.nodes)

    def _declare(self, request: Request) -> tuple[Step, _Nodes]:
        self._session.services.why.know(request)
        step = self._session.step(request)
        nodes = self._build(request, step)
        self._env.Depends(nodes, [self._env.Value(str(fact)) for fact in request.facts])
        self._require(nodes, request.after)
        # A step replaces its target in one go: SCons must not remove it before.
        self._env.Precious(nodes)
        why = self._session.services.why
        signs.keep(nodes, lambda: why.went_on(request))
        if request.verb not in CACHED_VERBS and not request.is_shared:
            self._env.NoCache(nodes)
        always = self._session.services.policy.redoes(request.verb)
        if request.is_shared:
            self._env.NoClean(nodes)
            always = hub_settings().policy.always
        if self._is_damaged(request) or always:
            self._forced.update(step.targets)
            if not request.sources:  # then SCons does not ask what has changed
                self._env.AlwaysBuild(nodes)
        if self._session.mode.cleans:
            record = self._session.services.why.records.path(step.target)
            beside = [Path(step.log), record]
            if not request.is_shared:
                beside += made_beside(request.targets, request.copied)
            self._env.Clean(nodes, [self._env.fs.Entry(str(path)) for path in beside])
        return step, nodes

    def _build(self, request: Request, step: Step) -> _Nodes:
        sources = [self._file(path) for path in request.sources]
        self._read.update(sources)
        nodes: _Nodes = BUILDERS[request.verb](
            self._env,
            [self._file(path) for path in request.targets],
            sources,
            MLCX_VERB=request.verb,
            MLCX_WHAT=request.shown or "$TARGET",
            MLCX_WHY=step.why,
            SPAWN=step,
            **words(request, self._name),
        )
        return nodes

    def _require(self, nodes: _Nodes, before: Iterable[Path]) -> None:
        """Let ``nodes`` be made only when all files of ``before`` are."""
        required = [self._file(path) for path in before]
        if required:
            self._env.Requires(nodes, required)
            for node in nodes:  # which would forget that once it is made: see ``asked``
                node.attributes.keep_targetinfo = 1

    def _is_damaged(self, request: Request) -> bool:
        """Whether a file is missing or altered without SCons' knowing; says which."""
        if self._session.mode.cleans:
            return False
        reason = self._session.services.why.damage(request)
        if reason and self._session.mode.builds:
            self._session.services.reporter.note(f"{reason}: making it again")
        return bool(reason)

    def _has_changed(
        self, dependency: Any, target: Any, previous: Any, node: Any = None
    ) -> bool:
        """Compare contents, but hash only what may have been written to: for SCons."""
        # When SCons explains a rebuild it does not say whose signatures are meant.
        owner = target if node is None else node
        if dependency.get_state() == SCons.Node.executed:
            # Time stamps are whole seconds: what was made now may have its old one.
            self._sign(dependency)
            changed = dependency.changed_content(target, previous)
        elif self._is_touched(dependency, owner):
            # So may what was replaced. SCons itself would look no further.
            self._hash_anew(dependency)
            changed = dependency.changed_content(target, previous)
        elif dependency in self._read and _is_new(owner):
            return True  # the step, which will run, signs what it reads: see ``signs``
        else:
            changed = dependency.changed_timestamp_then_content(target, previous, owner)
        changed = changed and (_is_new(owner) or not _is_moved(dependency, owner))
        if target.get_internal_path() not in self._forced:
            return bool(changed)
        # Without the hash a later touch would look like a change. For the same reason
        # this is not done with AlwaysBuild, which looks at no dependency.
        dependency.get_csig()
        return True

    def _sign(self, dependency: Any) -> None:
        """Sign a file as SCons would, but so that it is shown and can be stopped."""
        if not _is_file(dependency) or hasattr(dependency.get_ninfo(), "csig"):
            return
        known = dependency.get_max_drift_csig()
        hashes = self._session.services.hashes
        if known or dependency.exists():
            dependency.get_ninfo().csig = known or signs.digest(dependency, hashes)

    def _is_touched(self, dependency: Any, owner: Any) -> bool:
        """Whether a file has been written to since ``owner`` was made from it."""
        if not _is_file(dependency):
            return False
        path, target = Path(dependency.get_abspath()), owner.get_internal_path()
        return self._session.services.why.is_touched(path, target)

    def _hash_anew(self, file: Any) -> None:
        """Make SCons's signature of ``file`` that of its content, once in a run."""
        if file not in self._hashed:
            self._hashed.add(file)
            hashes = self._session.services.hashes
            file.get_ninfo().csig = signs.digest(file, hashes)

    def _file(self, path: Path) -> Any:
        if found := found_instead(path):
            raise UsageError(f"{self._name(path)}: expected a file, found {found}")
        # Not env.File, which would expand a dollar sign in the name.
        return self._env.fs.File(str(path))

    def _name(self, path: Path) -> str:
        """Return ``path`` relative to the folder in which SCons runs steps."""
        return self._session.services.why.records.name(path)


def _is_file(dependency: Any) -> bool:
    return isinstance(dependency, SCons.Node.FS.File)


def _is_new(target: Any) -> bool:
    """Whether SCons does not know what ``target`` was made of."""
    return not getattr(target.get_stored_info().binfo, "bsources", ())


def _say_nothing(*_: object) -> None:
    """Print no command; for SCons."""


def _is_moved(dependency: Any, target: Any) -> bool:
    """Whether ``dependency`` is what ``target`` was made from, but lies elsewhere.

    Then a source that it no longer has was called the same and held the same.
    """
    info = target.get_stored_info().binfo
    before = dict(zip(map(str, info.bsources), info.bsourcesigs, strict=False))
    if str(dependency) in before:
        return False
    now = set(map(str, target.sources))
    digests = {
        getattr(signature, "csig", None)
        for path, signature in before.items()
        if path not in now and PurePath(path).name == dependency.name
    }
    return dependency.get_csig() in digests
