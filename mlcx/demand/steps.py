"""A step to a library, as a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from mlcx import interpreter
from mlcx.artifact import replacing
from mlcx.demand.wanted import Wish
from mlcx.errors import BuildError

__all__ = ["COMMAND", "TEMPORARY", "make"]

TEMPORARY = "MLC_TEMP_DIR"
COMMAND = interpreter.command("mlcx")
"""What runs a verb."""

_QUOTED = 20
"""Lines of a log that a failure quotes."""


def make(wish: Wish, environ: Mapping[str, str]) -> None:
    """Run the step that ``wish`` takes; its file appears when it is complete.

    Args:
        wish: What is wanted.
        environ: Of the process.

    Raises:
        BuildError: It failed; quotes the end of its log. Or what it reads changed
            meanwhile, so that nobody knows what it made.
    """
    parent, step = environ.get(TEMPORARY) or None, wish.step
    try:
        with tempfile.TemporaryDirectory(prefix="mlcx-jit-", dir=parent) as folder:
            made = Path(folder) / f"made{step.suffix}"
            words = [step.inputs.verb, *step.sources, *step.inputs.options]
            words += [word for option in step.files for word in option]
            command = [*COMMAND, *map(str, words), "-o", str(made)]
            _run(command, Path(folder), made, environ)
            if step.key != wish.key:
                message = "what it is made of changed while it was made: ask again"
                raise BuildError(f"{wish.file}: {message}")
            with replacing(wish.file) as temporary:
                shutil.copyfile(made, temporary)
    except OSError as error:
        place = error.filename or parent or wish.file
        raise BuildError(f"{place}: {error.strerror or error}") from error


def _run(
    command: Sequence[str], folder: Path, made: Path, environ: Mapping[str, str]
) -> None:
    log = folder / "log"
    # What the step leaves when it is killed goes with the folder.
    inner = {**os.environ, **environ, **interpreter.LOGGED, "TMPDIR": str(folder)}
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
