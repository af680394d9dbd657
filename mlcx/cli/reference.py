"""Makes the reference of a checkpoint, by the same steps as a build, and keeps it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from mlcx.architectures import ARCHITECTURES
from mlcx.architectures.overriding import flatten
from mlcx.artifact import CHAT_CONFIG, MODEL_CONFIG, read_json
from mlcx.errors import InputError, UsageError
from mlcx.spec.folder import Place
from mlcx.spec.resolve import local
from mlcx.spec.types import Verify
from mlcx.spec.verify_rules import reference_lacks

__all__ = ["make"]

_INTERRUPTED = 128 + signal.SIGINT


def make(
    checkpoint: Path, model: Path, wanted: Verify, build: Path, quiet: bool
) -> Path:
    """Return the reference of ``checkpoint``, made unless it is there already.

    Args:
        checkpoint: A folder.
        model: The model directory that is to be held against it.
        wanted: Says which tokens, and how the checkpoint is run.
        build: Folder for all that is made.
        quiet: Keep to itself how it goes.

    Raises:
        InputError: There is no checkpoint.
        UsageError: It has no weights, or nothing to read a text with, or ``model`` is
            of another architecture; or a step failed, which has said why.
        KeyboardInterrupt: A step was interrupted.
    """
    if not (checkpoint / MODEL_CONFIG).is_file():
        message = "expected a checkpoint with config.json, or a reference's .json file"
        raise InputError.in_file(checkpoint, message)
    reads, place = wanted.text is not None, Place(checkpoint, "checkpoint")
    config = read_json(checkpoint / MODEL_CONFIG)
    if missing := reference_lacks(place, config, reads=reads):
        raise UsageError(f"--reference: {missing}")
    _require_same(checkpoint, model)
    from mlcx.scons.run import run_beside
    from mlcx.steps.quality import reference_file
    from mlcx.steps.requests import Folders

    here = Path.cwd()
    source, folder = local(here, str(checkpoint)), local(here, str(build))
    folders = Folders(folder / "reference", folder)
    given = _variables(source, wanted, folders.output, folders.build)
    output = subprocess.DEVNULL if quiet else None
    folder.mkdir(parents=True, exist_ok=True)
    status = run_beside("SConstruct-reference", given, os.environ, output)
    if status == _INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        raise UsageError(f"the reference of {checkpoint} could not be made")
    return reference_file(source, wanted, folders)


def _require_same(checkpoint: Path, model: Path) -> None:
    """Refuse what measuring would, after the work, where the configs tell it."""
    files = (checkpoint / MODEL_CONFIG, model / CHAT_CONFIG)
    names = [flatten(read_json(file)).get("model_type") for file in files]
    known = [ARCHITECTURES.get(name) for name in names if isinstance(name, str)]
    if None not in known and len(set(known)) > 1:
        raise UsageError(
            f"--reference: {checkpoint} is a {names[0]}, {model} a {names[1]}: they "
            "are different models"
        )


def _variables(
    checkpoint: Path, wanted: Verify, output: Path, build: Path
) -> list[str]:
    variables = {
        "CHECKPOINT": checkpoint,
        "TOKENS": wanted.tokens,
        "REFERENCE": wanted.reference,
        "OUTPUT": output,
        "BUILD": build,
    }
    if wanted.text is not None:
        variables["TEXT"] = wanted.text
    return [f"{name}={value}" for name, value in variables.items()]
