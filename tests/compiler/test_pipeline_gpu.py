"""What comes of a product as large as those of models, all passes together."""

import pytest
import tvm
from tvm import tirx
from tvm.s_tir import dlight

from mlcx.compiler.cuda.imports import source_only
from mlcx.compiler.intrinsics import load_intrinsics
from mlcx.compiler.kernels.gpu.matmul import nt_matmul
from mlcx.compiler.pipeline_gpu import narrowing
from mlcx.compiler.targets import target_of

SIGNS = {
    "metal": "kernel void product_kernel",
    "cuda": "nvcuda::wmma::mma_sync",
    "webgpu": "@compute",
}


@pytest.mark.slow
@pytest.mark.parametrize("device", ["metal", "cuda", "webgpu"])
def test_a_large_product_of_any_rows_has_code(device: str) -> None:
    target = target_of(device)
    load_intrinsics(target)
    product = nt_matmul(None, 2560, 2048, ("float16", "float16", "float16"))
    module = tvm.IRModule({"main": product.with_attr("global_symbol", "product")})
    passes = (
        tirx.transform.BindTarget(target),
        dlight.ApplyDefaultSchedule(dlight.gpu.Matmul()),
        *narrowing(target),
    )
    with target, source_only(), tvm.transform.PassContext(opt_level=3):
        built = tvm.tirx.build(tvm.transform.Sequential(passes)(module), target)
    (code,) = built.imports
    text = code.inspect_source()
    assert SIGNS[device] in text
