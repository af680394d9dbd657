"""Pin the models of a spec before it is read, in a process that may talk to the hub."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from mlcx import interpreter
from mlcx.errors import BuildError
from mlcx.scons.progress import Reporter
from mlcx.spec.models import unpinned

__all__ = ["pin_models"]


def pin_models(spec: Path, environ: Mapping[str, str], reporter: Reporter) -> None:
    """Make the lock file beside ``spec`` name all its models from the hub.

    Does nothing, and asks nobody, when it does already.

    Raises:
        InputError: The spec or the lock file is not what it must be.
        BuildError: A model could not be pinned; ``mlcx lock`` has said why.
    """
    missing = unpinned(spec)
    if not missing:
        return
    reporter.note(f"pinning {', '.join(missing)}, which {spec} names")
    command = [*interpreter.command("mlcx"), "lock", str(spec)]
    done = subprocess.run(
        command, env=dict(environ), check=False, stdout=subprocess.PIPE, text=True
    )
    for line in done.stdout.splitlines():
        reporter.note(line)
    if done.returncode:
        raise BuildError(f"{spec} cannot be built: not all its models are pinned")
