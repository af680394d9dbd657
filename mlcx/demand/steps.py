"""The two steps that a library takes, each as a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from mlcx.artifact import COMPILE_CONFIG, replacing
from mlcx.demand.wanted import Wanted
from mlcx.errors import BuildError

__all__ = ["COMMAND", "TEMPORARY", "compile_to", "normalize_to"]

TEMPORARY = "MLC_TEMP_DIR"
COMMAND: tuple[str, ...] = (sys.executable, "-m", "mlcx")
"""What runs a verb."""

_QUOTED = 20
"""Lines of a log that a failure quotes."""


def normalize_to(target: Path, wanted: Wanted, environ: Mapping[str, str]) -> None:
    """Write what compiling reads of the model's config.

    Raises:
        BuildError: The config or an override is not what it must be.
    """
    options = ["--overrides", wanted.overrides] if wanted.overrides else []
    words = ["normalize", str(wanted.config), *options]
    _make(words, COMPILE_CONFIG, target, environ)


def compile_to(
    target: Path,
    config: Path,
    wanted: Wanted,
    prefix: str | None,
    environ: Mapping[str, str],
) -> None:
    """Compile ``config`` to the library ``target``.

    Args:
        target: Appears when it is complete.
        config: What ``normalize_to`` wrote.
        wanted: How to compile it.
        prefix: Of the symbols of a static library; None: it is none.
        environ: Of the process.

    Raises:
        BuildError: It failed; quotes the end of its log.
    """
    words = ["compile", str(config), "--device", wanted.device.name]
    words += ["--opt", wanted.opt]
    if wanted.archs:
        words += ["--archs", ",".join(wanted.archs)]
    if prefix is not None:
        words += ["--system-lib-prefix", prefix]
    _make(words, f"lib{wanted.suffix}", target, environ)


def _make(
    words: Sequence[str], name: str, target: Path, environ: Mapping[str, str]
) -> None:
    """Run a verb in a temporary folder, and move the file that it makes."""
    parent = environ.get(TEMPORARY) or None
    try:
        with tempfile.TemporaryDirectory(prefix="mlcx-jit-", dir=parent) as folder:
            made = Path(folder) / name
            _run([*COMMAND, *words, "-o", str(made)], Path(folder), made, environ)
            with replacing(target) as temporary:
                shutil.copyfile(made, temporary)
    except OSError as error:
        place = error.filename or parent or target
        raise BuildError(f"{place}: {error.strerror or error}") from error


def _run(
    command: Sequence[str], folder: Path, made: Path, environ: Mapping[str, str]
) -> None:
    log = folder / "log"
    # What the step leaves when it is killed goes with the folder.
    inner = {**os.environ, **environ, "TMPDIR": str(folder)}
    with log.open("wb") as output:
        status = _wait(command, inner, output)
    if status or not made.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        shown = [line for line in lines if line.strip()][-_QUOTED:]
        end = "".join(f"\n    {line}" for line in shown)
        raise BuildError(
            f"mlcx {command[len(COMMAND)]} failed with status {status}; "
            f"the end of its log:{end}"
        )


def _wait(command: Sequence[str], environ: Mapping[str, str], log: IO[bytes]) -> int:
    """Run ``command`` and return its status; whatever interrupts this, it has ended."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(environ)
    )
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()
