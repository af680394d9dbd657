"""Products that are none with a transposed matrix, such as those of RWKV 6."""

from __future__ import annotations

import pytest
import tvm
from tvm import relax, tirx
from tvm.s_tir import dlight

from mlcx.compiler.cuda.imports import source_only
from mlcx.compiler.passes.gpu_low_batch import OtherProducts
from mlcx.compiler.pipeline_gpu import narrowing
from mlcx.compiler.targets import target_of


def product(parts: int) -> tvm.IRModule:
    """Return x (parts, n, 32) times w (parts, 32, 48), float16."""
    n, wide = tirx.Var("n", "int64"), relax.TensorType([parts, 32, 48], "float16")
    x = relax.Var("x", relax.TensorType([parts, n, 32], "float16"))
    w = relax.Var("w", wide)
    builder = relax.BlockBuilder()
    with builder.function("main", [x, w]):
        builder.emit_func_output(builder.emit(relax.op.matmul(x, w)))
    return relax.transform.LegalizeOps()(builder.finalize())


@pytest.mark.parametrize("parts", [1, 5])
@pytest.mark.parametrize(
    ("device", "start"), [("iphone", "kernel void"), ("android", "__kernel")]
)
def test_any_number_of_rows_is_multiplied_on_any_gpu(
    device: str, start: str, parts: int
) -> None:
    target = target_of(device)
    passes = (dlight.ApplyDefaultSchedule(OtherProducts()), *narrowing(target))
    with target, source_only():
        module = tvm.transform.Sequential(passes)(product(parts))
        functions = [each for _, each in module.functions_items()]
        (kernel,) = (each for each in functions if isinstance(each, tirx.PrimFunc))
        named = kernel.with_attr("global_symbol", "product")
        built = tvm.tirx.build(tvm.IRModule({"main": named}), target)
    (source,) = (each.inspect_source() for each in built.imports)
    assert start in source
