"""From a built executable to a library file."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tvm import relax

from mlcx.artifact import LINKERS, library_info, replacing
from mlcx.errors import BuildError

__all__ = ["export", "linker"]


def linker() -> str:
    """Return the path of the linker.

    Raises:
        BuildError: None is installed.
    """
    found = next(filter(None, map(shutil.which, LINKERS)), None)
    if found is None:
        names = ", ".join(LINKERS)
        raise BuildError(f"no linker found: install one of {names}, for instance gcc")
    return found


def export(executable: relax.VMExecutable, output: Path) -> None:
    """Write ``executable`` as a shared library to ``output``, atomically."""
    if output.suffix != ".so":
        raise BuildError(f"{output}: only .so can be linked yet")
    program = linker()

    def link(target: str, objects: Sequence[str], **_: Any) -> None:
        command = [program, "-shared", "-o", str(target), *map(str, sorted(objects))]
        _run(command)

    link.output_format = "so"  # type: ignore[attr-defined]
    with replacing(output) as temporary:
        executable.export_library(str(temporary), fcompile=link)
        # A library without a note is taken as it is; by an old note it is misjudged.
        library_info(output).unlink(missing_ok=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"linking failed: {' '.join(command)}\n{done.stderr.strip()}")
