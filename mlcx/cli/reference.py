"""Makes the reference of a checkpoint, by the same steps as a build, and keeps it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from mlcx.artifact import MODEL_CONFIG
from mlcx.errors import BuildError, InputError, UsageError
from mlcx.spec.folder import Place
from mlcx.spec.resolve import local
from mlcx.spec.types import Verify
from mlcx.spec.verify_rules import reference_lacks

__all__ = ["make"]


def make(checkpoint: Path, wanted: Verify, build: Path, quiet: bool) -> Path:
    """Return the reference of ``checkpoint``, made unless it is there already.

    Args:
        checkpoint: A folder.
        wanted: Says which tokens, and how the checkpoint is run.
        build: Folder for all that is made.
        quiet: Keep to itself how it goes.

    Raises:
        InputError: There is no checkpoint.
        UsageError: It has no weights, or nothing to read a text with.
        BuildError: A step failed; it has said why.
    """
    if not (checkpoint / MODEL_CONFIG).is_file():
        message = "expected a checkpoint with config.json, or a reference's .json file"
        raise InputError.in_file(checkpoint, message)
    if missing := reference_lacks(
        Place(checkpoint, "checkpoint"), reads=wanted.text is not None
    ):
        raise UsageError(f"--reference: {missing}")
    from mlcx.scons.run import run_beside
    from mlcx.steps.quality import reference_file
    from mlcx.steps.requests import Folders

    here = Path.cwd()
    source, folder = local(here, str(checkpoint)), local(here, str(build))
    folders = Folders(folder / "reference", folder)
    given = _variables(source, wanted, folders.output, folders.build)
    output = subprocess.DEVNULL if quiet else None
    if run_beside("SConstruct-reference", given, os.environ, output):
        raise BuildError(f"the reference of {checkpoint} could not be made")
    return reference_file(source, wanted, folders)


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
