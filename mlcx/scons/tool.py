"""What SCons calls of the tool, and the methods that it adds to an environment."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import SCons.Script
from SCons.Node.FS import File
from SCons.Subst import Literal

from mlcx import interpreter, streams
from mlcx.errors import BuildError, MlcxError, UsageError, said
from mlcx.scons import database, ending, folders, options, pinning, script, signs
from mlcx.scons.declared import Mode
from mlcx.scons.given import (
    expect,
    expect_library,
    expect_reference,
    expect_scheme,
    expect_understood,
)
from mlcx.scons.memory import parse
from mlcx.scons.options import COMMAND_LINE
from mlcx.scons.session import Session, session
from mlcx.spec import load
from mlcx.spec.devices import DEVICES
from mlcx.spec.opt import canonical
from mlcx.spec.options import DEFAULTS, archs_for, host_for
from mlcx.spec.overrides import whole
from mlcx.spec.prefix import canonical_prefix
from mlcx.spec.types import KINDS, LibraryJob, Verify, WeightsJob
from mlcx.spec.verify_rules import no_text
from mlcx.steps import phone, quality, requests
from mlcx.steps.apart import apart
from mlcx.steps.everything import everything
from mlcx.steps.requests import Request
from mlcx.store.settings import settings

__all__ = ["generate"]

_Nodes = list[Any]
"""Nodes of SCons."""


def generate(env: Any) -> None:
    """Add the methods and construction variables of the tool to ``env``."""
    streams.prepare()
    _reporting(_read)(env)
    signs.use_sha256(env)
    database.use()
    _hash_in_blocks(env)
    shown = "" if env["VERBOSE"] else "$MLCX_VERB $MLCX_WHAT$MLCX_WHY"
    env.SetDefault(
        MLCX=[*map(Literal, interpreter.command("mlcx"))],
        MLCX_ENV=dict(os.environ),
        **{COMMAND_LINE: shown},
    )
    declaring = (_spec, _package, _delivery, _library, _weights, _reference)
    for method in (*declaring, _command_line):
        env.AddMethod(_reporting(method), _name(method))


def _name(method: Callable[..., _Nodes]) -> str:
    """Return what scripts call it."""
    return "MLC" + method.__name__.title().replace("_", "")


def _read(env: Any) -> _Nodes:
    """Set the variables of the command line in ``env``."""
    options.read(env)
    return []


def _hash_in_blocks(env: Any) -> None:
    """Let SCons read a large file in blocks of 1 MiB, unless somebody chose a size.

    It means to read 64 KiB, but takes them for as many KiB, and has two blocks.
    """
    if env.GetOption("md5_chunksize") == File.hash_chunksize:
        env.SetOption("hash_chunksize", 1024)


def _reporting(method: Callable[..., _Nodes]) -> Callable[..., _Nodes]:
    """End SCons with the message and status of a wrong spec, without a traceback."""

    @functools.wraps(method)
    def wrapper(env: Any, *args: Any, **kwargs: Any) -> _Nodes:
        try:
            expect_understood(_name(method), method, env, *args, **kwargs)
            return method(env, *args, **kwargs)
        except MlcxError as error:
            sys.stderr.write(f"{error.report()}\n")
            ending.refuse(error.exit_status)
        except OSError as error:
            # A disk that is full or a folder that is closed is nobody's bug.
            sys.stderr.write(f"mlcx: {said(error)}\n")
            ending.refuse(2)

    return wrapper


def _spec(env: Any, spec: str, kind: str | None = None) -> _Nodes:
    """Declare all that ``spec`` asks for, of either kind."""
    if env.GetOption("help"):  # which may be on how to name another spec
        return []
    options.reject_ignored(str(spec))
    current, asked = _session(env), _asked(env, spec, kind)
    # Without targets on the command line SCons is about all that a script declares.
    if script.asks_for_specs_only(()) and current.stands({str(spec): asked}):
        return []
    return _declared(env, asked)


def _asked(env: Any, spec: str, kind: str | None = None) -> list[Request]:
    """Return all that ``spec`` asks for, of either kind."""
    current = _session(env)
    path = Path(env.fs.Entry(str(spec)).get_abspath())
    if current.mode.builds:
        reporter = current.services.reporter
        pinning.pin_models(_as_given(path), env["MLCX_ENV"], reporter)
    plan = load(_as_given(path), current.stamp)
    if kind and plan.kind != kind:
        expected = KINDS[kind]
        raise UsageError(f"{spec}: expected a {expected}, found a {plan.kind_name}")
    environ = env["MLCX_ENV"]
    current.remains += filter(None, [phone.remains(plan, environ)])
    asked = everything(plan, current.folders, environ)
    current.specs[current.services.why.records.name(path)] = asked
    return asked


def _as_given(path: Path) -> Path:
    """Return ``path`` as messages should show it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _declared(env: Any, requests: Iterable[Request]) -> _Nodes:
    """Tell SCons of ``requests``, and return the nodes that they make."""
    # A build for which all stands as it was gets by without it.
    from mlcx.scons.graph import Graph  # noqa: PLC0415

    return Graph(env, _session(env)).declare(requests)


def _package(env: Any, spec: str = "mlc-package-config.json") -> _Nodes:
    """Declare what a package config asks for."""
    return _spec(env, spec, "package")


def _delivery(env: Any, spec: str) -> _Nodes:
    """Declare what a delivery spec asks for."""
    return _spec(env, spec, "delivery")


def _library(
    env: Any,
    library: str,
    model: str,
    *,
    kind: str = "mlc",
    quantization: str | None = None,
    device: str = "cpu",
    opt: str = DEFAULTS["opt"],
    overrides: Mapping[str, float | bool | str] | None = None,
    system_lib_prefix: str | None = None,
    host: str = DEFAULTS["host"],
    mcpu: str = DEFAULTS["mcpu"],
    archs: str | None = None,
) -> _Nodes:
    """Declare a library of ``model``: a model directory or, by ``kind``, a checkpoint.

    Both paths are relative to the script that SCons reads.
    """
    expect_library(kind, device, quantization, overrides)
    directory = Path(env.Dir(model).get_abspath())
    target = Path(env.File(library).get_abspath())
    expect("MLCLibrary", "library", target.suffix, DEVICES[device].suffixes(host))
    job = LibraryJob(
        directory.name,
        directory,
        "checkpoint" if kind == "checkpoint" else "mlc",
        quantization,
        device,
        canonical(opt, DEVICES[device]),
        tuple(whole(overrides or {}).items()),
        None if system_lib_prefix is None else canonical_prefix(system_lib_prefix),
        host_for(DEVICES[device], host),
        mcpu,
        library,
        archs=archs_for(DEVICES[device], archs),
    )
    current, config = _session(env), requests.model_config(job)
    place = current.places.of(job.model_id, directory)
    asked = requests.library(job, config, target, current.folders, place)
    return _declared(env, asked)


def _weights(
    env: Any, directory: str, model: str, *, quantization: str, conv_template: str
) -> _Nodes:
    """Declare the model directory of a checkpoint, in a folder of its own."""
    expect_scheme("MLCWeights", quantization)
    source = Path(env.Dir(model).get_abspath())
    target = Path(env.Dir(directory).get_abspath())
    job = WeightsJob(target.name, source, quantization, conv_template, directory)
    return _declared(env, apart(requests.weights(job, target)))


def _reference(
    env: Any,
    model: str,
    *,
    text: str | None = None,
    tokens: int = DEFAULTS["tokens"],
    quantization: str = DEFAULTS["reference"],
) -> _Nodes:
    """Declare the logits of a checkpoint as it is, which libraries are held against."""
    expect_reference(tokens, quantization)
    checkpoint = Path(env.fs.Dir(model).get_abspath())
    current = _session(env)
    source = None if text is None else _text(env.fs.File(text), current)
    wanted = Verify(None, None, source, tokens, quantization)
    asked = quality.reference(checkpoint, wanted, current.folders)
    return _declared(env, asked)


def _text(node: Any, current: Session) -> Path:
    """Return the text that ``node`` is; what is not there, a later line may make."""
    path = Path(node.get_abspath())
    if current.mode.builds and path.exists() and not node.is_derived():
        why = no_text(path)
        if why:
            raise UsageError(f"MLCReference: text: {why}")
    return path


def _command_line(env: Any, default: str) -> _Nodes:
    """Declare the specs among the command line's targets, or else one spec.

    A target that ends in ``.json`` names a spec unless it is where a build makes such
    files. Without such a target it is the spec of ``SPEC``, or ``default``.
    """
    options.reject_unknown(env)
    if env.GetOption("help"):
        return []
    current = _session(env)
    specs = [
        target
        for target in SCons.Script.COMMAND_LINE_TARGETS
        if target.endswith(".json") and not _is_made(current, target)
    ]
    named = specs or [env["SPEC"] or default]
    asked = {spec: _asked(env, spec) for spec in named}
    stands = script.asks_for_specs_only(asked) and current.stands(asked)
    if current.mode.builds and not stands:
        _check_disks(current, asked)
    for spec, wanted in asked.items():
        # An alias of nothing is nothing, which SCons would not call up to date.
        nodes = [env.Value(spec)] if stands else _declared(env, wanted)
        env.Default(env.Alias(spec.replace("$", "$$"), nodes))
    return []


def _check_disks(current: Session, asked: Mapping[str, list[Request]]) -> None:
    """Refuse what no disk has room for, when all of some specs is to be made.

    A build that goes on after a failure makes what it can.
    """
    from mlcx.scons import disk  # noqa: PLC0415 (for the same reason)

    if not set(SCons.Script.COMMAND_LINE_TARGETS) <= asked.keys():
        return
    try:
        disk.check(chain.from_iterable(asked.values()), current.bytes_before)
    except BuildError as error:
        if not current.mode.keeps_going:
            raise
        current.services.reporter.error(str(error))


def _is_made(current: Session, target: str) -> bool:
    path = Path(os.path.abspath(target))  # noqa: PTH100 (keep links)
    output, build = current.folders.output, current.folders.build
    # A spec may well lie in the output folder, when that is the current one.
    roots = (build, output / "bundle", output / "quality")
    return any(path.is_relative_to(root) for root in roots)


def _session(env: Any) -> Session:
    top = env.fs.Top
    stays = any(map(env.GetOption, ("help", "no_exec", "question")))
    mode = Mode(
        builds=not stays and not env.GetOption("clean"),
        cleans=bool(env.GetOption("clean")),
        silent=bool(env.GetOption("silent")),
        plans=bool(env.GetOption("no_exec")) and not env.GetOption("help"),
        keeps_going=bool(env.GetOption("keep_going")),
        manifest=bool(env["MANIFEST"]),
        memory=parse(env["MEMORY"]),
    )
    chosen = folders.of(env)
    folders.check(Path(top.get_abspath()), chosen, mode)
    caching = settings(folder=env["CACHE_DIR"], url=env["CACHE"])
    return session(Path(top.get_abspath()), chosen, mode, caching)
