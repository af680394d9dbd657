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
from pathlib import Path
from typing import Any

from mlcx.artifact import read_json
from mlcx.demand.wanted import Wanted, wanted
from mlcx.errors import BuildError, InputError
from mlcx.home import home
from mlcx.policy import VARIABLE, Policy, policy
from mlcx.signature import inputs
from mlcx.spec.digest import digest_file, digest_json
from mlcx.spec.options import host_for
from mlcx.spec.prefix import canonical_prefix
from mlcx.toolchain.triple import AUTO

__all__ = ["JITResult", "jit"]

_LOG = logging.getLogger("mlcx.jit")
_DIGITS = 32
"""Of a key in the name of a library: as many as MLC LLM's have."""


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
        BuildError: The policy forbids it, or compiling failed.
        InputError: There is no such model.
        UsageError: An argument or a variable is not what it must be.
    """
    began, environ = time.time_ns(), dict(os.environ)
    chosen = policy(environ)
    if not skip_log_jit_policy:
        known = "/".join(Policy.__members__)
        _LOG.info("%s = %s. Can be one of: %s", VARIABLE, chosen.name, known)
    if chosen is Policy.OFF:
        raise BuildError(f"{VARIABLE} is OFF: no library is taken or compiled")
    asked = wanted(Path(model_path), overrides, str(device), system_lib_prefix, environ)
    folder = home(environ) / "model_lib"
    config = _normalized(asked, folder / "configs", environ)
    prefix, key = _named(asked, read_json(config))
    library = folder / f"{key}{asked.suffix}"
    shown = asked.prefix if asked.prefix is not None else prefix
    result = JITResult(
        str(library), shown if asked.device.static else system_lib_prefix
    )
    if library.is_file() and chosen is not Policy.REDO:
        _LOG.info("Using library: %s", library)
        return result
    if chosen is Policy.READONLY:
        raise BuildError(f"{library} is missing, and {VARIABLE} is READONLY")
    full = None if prefix is None else canonical_prefix(prefix)
    with _one_at_a_time(library):
        if not _made_since(library, began if chosen is Policy.REDO else 0):
            _LOG.info("Compiling library: %s", library)
            from mlcx.demand.steps import compile_to  # noqa: PLC0415

            compile_to(library, config, asked, full, environ)
    return result


def _normalized(asked: Wanted, folder: Path, environ: Mapping[str, str]) -> Path:
    """Return the file with what compiling reads; made again when its inputs change."""
    sources = str(inputs.sources("compile", "compiler"))
    made_of = [digest_file(asked.config), asked.config.name, asked.overrides, sources]
    file = folder / f"{digest_json(made_of)[:_DIGITS]}.json"
    if not _is_readable(file):
        with _one_at_a_time(file):
            if not _is_readable(file):
                from mlcx.demand.steps import normalize_to  # noqa: PLC0415

                normalize_to(file, asked, environ)
    return file


def _is_readable(file: Path) -> bool:
    try:
        read_json(file)
    except InputError:
        return False
    return True


def _named(asked: Wanted, config: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the prefix of a static library, None: it is none, and the key."""
    device = asked.device
    tools, _ = inputs.toolchain(device.name, AUTO, asked.suffix, asked.archs)
    facts = [inputs.sources("compile", "compiler"), inputs.tvm(), tools]
    if device.host == AUTO:
        facts.append(inputs.host(with_cpu=asked.own_cpu))
    parts = {
        "config": config,
        "device": device.name,
        "host": host_for(device, AUTO),
        "opt": asked.opt,
        "archs": asked.archs,
        "suffix": asked.suffix,
        "facts": [str(fact) for fact in facts],
    }
    if not device.static:
        return None, digest_json(parts)[:_DIGITS]
    prefix = asked.prefix
    if prefix is None:
        words = (config["model_type"], config["quantization"], digest_json(parts))
        text = f"{words[0]}_{words[1]}_{words[2][:_DIGITS]}"
        prefix = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return prefix, digest_json({**parts, "prefix": canonical_prefix(prefix)})[:_DIGITS]


def _made_since(library: Path, moment: int) -> bool:
    """Whether another process has made ``library`` since ``moment``, in nanoseconds."""
    try:
        return library.stat().st_mtime_ns >= moment
    except FileNotFoundError:
        return False


def _one_at_a_time(file: Path) -> Any:
    """Return a lock on ``file`` among processes, for a ``with`` statement."""
    # Loading this takes as long as all the rest of a hit.
    from filelock import FileLock  # noqa: PLC0415

    folder = file.parent / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder}: cannot be written: {error.strerror}"
        raise BuildError(message) from error
    return FileLock(folder / f"{file.name}.lock")
