"""From a built executable to a library file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tvm import relax

from mlcx.artifact import replacing
from mlcx.errors import BuildError
from mlcx.toolchain.products import make
from mlcx.toolchain.triple import Triple

__all__ = ["export"]

_CUDA_SOURCE = b'extern "C" __global__ void'


def export(executable: relax.VMExecutable, output: Path, triple: Triple) -> None:
    """Write ``executable`` for ``triple`` to ``output``, atomically.

    The suffix of ``output`` says what it is made into: an archive of objects or a
    shared library.

    Raises:
        BuildError: A tool is missing or failed, or kernels are no machine code.
    """

    def link(target: str, objects: Sequence[str], **_: Any) -> None:
        # TVM removes the objects as soon as this returns.
        with tempfile.TemporaryDirectory(prefix="mlcx-") as folder:
            paths = [Path(each) for each in objects]
            _check_kernels(paths)
            shutil.copyfile(make(paths, output.suffix, triple, Path(folder)), target)

    with replacing(output) as temporary:
        executable.export_library(str(temporary), fcompile=link)


def _check_kernels(objects: Sequence[Path]) -> None:
    """Refuse kernels for CUDA as text, which TVM leaves where it found no compiler.

    Only a Python process with a compiler of its own could load such a library.
    """
    if any(_CUDA_SOURCE in path.read_bytes() for path in objects):
        message = "TVM left the CUDA kernels as source text, which no engine loads"
        raise BuildError(f"{message}: compile on a machine with CUDA's driver")
