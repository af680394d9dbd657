"""What is refused between a built executable and its library."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlcx.compiler.export import export
from mlcx.compiler.imports import Packer
from mlcx.compiler.targets import target_of
from mlcx.errors import BuildError


class Executable:
    """Hands out one object, as TVM's does."""

    def __init__(self, content: bytes, folder: Path) -> None:
        self.object = folder / "devc.o"
        self.object.write_bytes(content)

    def export_library(
        self, file: str, fcompile: Callable[..., None], fpack_imports: Packer
    ) -> None:
        del fpack_imports
        fcompile(file, [str(self.object)])


def test_cuda_kernels_that_nobody_compiled_are_refused(tmp_path: Path) -> None:
    source = b'..extern "C" __global__ void __launch_bounds__(64) matmul_kernel(..'
    output = tmp_path / "model.tar"
    with pytest.raises(BuildError, match="left CUDA's kernels as source"):
        export(Executable(source, tmp_path), output, target_of("cpu"))
    assert not output.exists()


def test_other_objects_are_packed(tmp_path: Path) -> None:
    output = tmp_path / "model.tar"
    export(
        Executable(b"__kernel void matmul_kernel(", tmp_path), output, target_of("cpu")
    )
    assert b"matmul_kernel" in output.read_bytes()
