"""From a built executable to a library file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tvm import relax
from tvm.target import Target

from mlcx.artifact import replacing
from mlcx.compiler.cuda.imports import check_hold_no_source, compiling
from mlcx.compiler.imports import packer
from mlcx.toolchain.products import make
from mlcx.toolchain.triple import parse

__all__ = ["export"]


def export(
    executable: relax.VMExecutable,
    output: Path,
    target: Target,
    beside: Sequence[Path] = (),
) -> None:
    """Write ``executable`` for ``target`` to ``output``, atomically.

    The suffix of ``output`` says what it is made into: an archive of objects or a
    shared library.

    Args:
        executable: What was compiled.
        output: Library to write.
        target: What it was compiled for.
        beside: Further objects to link into it.

    Raises:
        BuildError: A tool is missing or failed, or kernels cannot be compiled.
    """
    triple = parse(str(target.host.attrs["mtriple"]))
    pack = packer(compiling(target) if target.kind.name == "cuda" else None)

    def link(product: str, objects: Sequence[str], **_: Any) -> None:
        # TVM removes the objects as soon as this returns.
        with tempfile.TemporaryDirectory(prefix="mlcx-") as folder:
            paths = [Path(each) for each in objects]
            check_hold_no_source(paths)
            others = [path.absolute() for path in beside]
            made = make(paths, output.suffix, triple, Path(folder), others)
            shutil.copyfile(made, product)

    with replacing(output) as temporary:
        executable.export_library(str(temporary), fcompile=link, fpack_imports=pack)
