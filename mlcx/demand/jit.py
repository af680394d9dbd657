"""Compile the library of a model when a program asks for it, as MLC LLM's ``jit``.

A library is found again by all that it depends on, and this does not load tvm.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlcx.artifact import read_json
from mlcx.demand.wanted import Wanted, Wish, wanted
from mlcx.errors import BuildError, InputError, UsageError
from mlcx.home import home
from mlcx.policy import VARIABLE, Policy, policy
from mlcx.spec.hub import is_remote
from mlcx.toolchain.needs import report
from mlcx.web.kept import place
from mlcx.web.pieces import given_bitcode

__all__ = ["JITResult", "jit"]

_LOG = logging.getLogger("mlcx.jit")


@dataclass(frozen=True)
class JITResult:
    """A library that is ready to be loaded or linked."""

    model_lib_path: str
    system_lib_prefix: str | None
    """What the names in a static library begin with, without the last ``_``."""


def jit(
    model_path: str | os.PathLike[str],
    overrides: Mapping[str, Any],
    device: object,
    system_lib_prefix: str | None = None,
    *,
    skip_log_jit_policy: bool = False,
) -> JITResult:
    """Return the library of a model, compiled unless there is one that fits.

    ``MLC_JIT_POLICY``, ``MLC_LLM_HOME``, ``MLC_TEMP_DIR`` and ``MLC_DSO_SUFFIX`` are
    read at each call. Processes that ask for one library at once wait for the first.

    Args:
        model_path: A model directory, with mlc-chat-config.json.
        overrides: Fields of its config to replace, and ``opt``, the optimisation flags.
        device: A preset, ``auto``, a device such as ``cuda:0``, or an object that
            reads so.
        system_lib_prefix: Of a static library; None: one of its own.
        skip_log_jit_policy: Do not log the policy.

    Raises:
        BuildError: The policy forbids it, a tool is missing, or compiling failed.
        InputError: There is no such model.
        UsageError: An argument or a variable is not what it must be.
    """
    if is_remote(named := os.fsdecode(model_path)):
        raise UsageError(f"{named}: expected a folder: mlcx fetch brings it here")
    began, environ = time.time_ns(), dict(os.environ)
    chosen = _policy(environ, silent=skip_log_jit_policy)
    asked = wanted(Path(named), overrides, str(device), system_lib_prefix, environ)
    if (lacks := asked.made_with().lacks) and chosen.compiles:
        raise BuildError(report(lacks))
    folder = home(environ) / "model_lib"
    config = _config(asked, folder / "configs", environ, began)
    prefix = _prefix(asked, config)
    runtime = _runtime(asked, chosen, environ, began)
    step = asked.compiling(config, prefix, runtime)
    library = Wish.below(folder, f"compile {asked.shown}", step)
    if library.file.is_file() and chosen is not Policy.REDO:
        _LOG.info("Using library: %s", library.file)
    else:
        _obtain(library, chosen, began, environ)
    shown = prefix if asked.device.static else system_lib_prefix
    return JITResult(str(library.file), shown)


def _policy(environ: Mapping[str, str], *, silent: bool) -> Policy:
    """Return the policy, unless it forbids everything."""
    chosen = policy(environ)
    if not silent:
        known = "/".join(Policy.__members__)
        _LOG.info("%s = %s. Can be one of: %s", VARIABLE, chosen.name, known)
    if chosen is Policy.OFF:
        raise BuildError(f"{VARIABLE} is OFF: no library is taken or compiled")
    return chosen


def _config(
    asked: Wanted, folder: Path, environ: Mapping[str, str], began: int
) -> Path:
    """Return the file with what compiling reads; made again when its inputs change."""
    wish = Wish.below(folder, f"normalize {asked.shown}", asked.normalizing())
    if not _is_readable(wish.file):
        from mlcx.demand.obtain import obtain  # noqa: PLC0415

        asked.check()
        obtain(wish, partial(_is_readable, wish.file), environ, began)
    return wish.file


def _is_readable(file: Path) -> bool:
    try:
        read_json(file)
    except InputError:
        return False
    return True


def _prefix(asked: Wanted, config: Path) -> str | None:
    """Return what names in a static library begin with; None: it is none."""
    if not asked.device.static or asked.prefix is not None:
        return asked.prefix
    says = read_json(config)
    name = Wish.below(Path(), "", asked.compiling(config)).file.stem
    text = f"{says['model_type']}_{says['quantization']}_{name}"
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def _runtime(
    asked: Wanted, chosen: Policy, environ: Mapping[str, str], began: int
) -> Path | None:
    """Return the runtime of a library for the web, kept for all of them of a user."""
    if not asked.links_runtime:
        return None
    bitcode = given_bitcode(environ)
    step = asked.web_runtime(bitcode)
    wish = Wish(place(bitcode), step.key, "web_runtime web runtime", step)
    if not wish.file.is_file():
        _obtain(wish, chosen, began, environ)
    return wish.file


def _obtain(
    library: Wish, chosen: Policy, began: int, environ: Mapping[str, str]
) -> None:
    """Take or make a library that is not there, or will not do; as ``chosen`` allows.

    Args:
        library: What is wanted, or the runtime that it takes.
        chosen: The policy.
        began: When it was asked for, in nanoseconds.
        environ: Of the process.
    """
    from mlcx.demand.obtain import obtain  # noqa: PLC0415

    redo = chosen.redoes(library.step.inputs.verb)
    there = partial(_made_since, library.file, began if redo else 0)
    refusal = f"{library.file} is missing, and {VARIABLE} is {chosen.name}"
    refusal = refusal if chosen.refuses(library.step.inputs.verb) else ""
    obtain(library, there, environ, began, takes_cached=not redo, refusal=refusal)


def _made_since(library: Path, moment: int) -> bool:
    """Whether another process has made ``library`` since ``moment``, in nanoseconds."""
    try:
        return library.stat().st_mtime_ns >= moment
    except FileNotFoundError:
        return False
