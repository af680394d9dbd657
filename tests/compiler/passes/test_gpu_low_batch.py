"""Products that are none with a transposed matrix, such as those of RWKV 6."""

from __future__ import annotations

import pytest
import tvm
from tvm import te, tirx
from tvm.s_tir import dlight

from mlcx.compiler.cuda.imports import source_only
from mlcx.compiler.passes.gpu_low_batch import OtherProducts
from mlcx.compiler.pipeline_gpu import narrowing
from mlcx.compiler.targets import target_of


def product() -> tvm.IRModule:
    """Return x (n, 48) times w (48, 64), float16."""
    n = tirx.Var("n", "int64")
    inner, width = tirx.IntImm("int64", 48), tirx.IntImm("int64", 64)
    x = te.placeholder((n, inner), "float16", "x")
    w = te.placeholder((inner, width), "float16", "w")
    k = te.reduce_axis((tirx.IntImm("int64", 0), inner), "k")
    out = te.compute((n, width), lambda i, j: te.sum(x[i, k] * w[k, j], k), "matmul")
    kernel = te.create_prim_func([x, w, out])
    return tvm.IRModule({"product": kernel.with_attr("global_symbol", "product")})


@pytest.mark.parametrize(
    ("device", "start"),
    [("iphone", "kernel void"), ("android", "__kernel"), ("opencl", "__kernel")],
)
def test_any_number_of_rows_is_multiplied_on_any_gpu(device: str, start: str) -> None:
    target = target_of(device)
    passes = (dlight.ApplyDefaultSchedule(OtherProducts()), *narrowing(target))
    with target, source_only():
        module = tvm.transform.Sequential(passes)(product())
        built = tvm.tirx.build(module, target)
    (source,) = (each.inspect_source() for each in built.imports)
    assert start in source
