"""What is refused between a built executable and its library."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlcx.compiler.export import export
from mlcx.errors import BuildError
from mlcx.toolchain.triple import AUTO, parse


class Executable:
    """Hands out one object, as TVM's does."""

    def __init__(self, content: bytes, folder: Path) -> None:
        self.object = folder / "devc.o"
        self.object.write_bytes(content)

    def export_library(self, file: str, fcompile: Callable[..., None]) -> None:
        fcompile(file, [str(self.object)])


def test_cuda_kernels_that_nobody_compiled_are_refused(tmp_path: Path) -> None:
    source = b'..extern "C" __global__ void __launch_bounds__(64) matmul_kernel(..'
    output = tmp_path / "model.tar"
    with pytest.raises(BuildError, match="left the CUDA kernels as source text"):
        export(Executable(source, tmp_path), output, parse(AUTO))
    assert not output.exists()


def test_other_objects_are_packed(tmp_path: Path) -> None:
    output = tmp_path / "model.tar"
    export(Executable(b"__kernel void matmul_kernel(", tmp_path), output, parse(AUTO))
    assert b"matmul_kernel" in output.read_bytes()
