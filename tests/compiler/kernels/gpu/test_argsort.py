"""The sorting network for GPUs: its code is generated whatever a row's width."""

import pytest
import tvm
from tvm.target import Target

from mlcx.compiler.kernels.gpu.argsort import argsort_descending


@pytest.mark.parametrize("kind", ["metal", "opencl", "webgpu"])
@pytest.mark.parametrize(("width", "kernels"), [(99, 1), (512, 1), (1500, 4)])
def test_rows_that_fill_no_tile_are_sorted_too(
    width: int, kernels: int, kind: str
) -> None:
    target = Target({"kind": kind}, host=Target({"kind": "llvm"}))
    sort = argsort_descending(width).with_attr("global_symbol", "argsort")
    with target:
        library = tvm.tirx.build(tvm.IRModule({"argsort": sort}), target=target)
    source = library.imports[0].inspect_source()
    declared = {"metal": "kernel void", "opencl": "__kernel", "webgpu": "@compute"}
    assert source.count(declared[kind]) >= kernels
