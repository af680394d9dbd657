"""Kernels for AMD's GPUs, made without an installed ROCm."""

from __future__ import annotations

import pytest
import tvm
from tvm import tirx
from tvm.runtime import _ffi_api
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import each
from mlcx.compiler.kernels.script import array, define
from mlcx.compiler.rocm import prepare
from mlcx.compiler.targets import target_of
from mlcx.toolchain.needs import needs, refusal
from mlcx.toolchain.triple import AUTO, parse

LACKS = refusal("rocm", needs("rocm", parse(AUTO), ".so"))
AMDGPU = 224
"""The machine's number in ELF."""


@pytest.mark.skipif(bool(LACKS), reason=LACKS)
def test_a_kernel_is_a_code_object_of_amds_loader() -> None:
    def emit() -> None:
        x, y = (array(name, (1024,), "float32") for name in "xy")
        each(T.int64(1024), lambda i: T.buffer_store(y, T.tanh(x[i]), [i]))

    target = target_of("rocm")
    prepare(target)
    module = tvm.IRModule({"f": define("f", emit).with_attr("target", target)})
    with target:
        narrow = tirx.transform.ForceNarrowIndexToInt32()(module)
        built = tvm.tirx.build(narrow, target)
    packed = _ffi_api.ModulePackImportsToTensor(built).numpy().tobytes()
    code = packed[packed.index(b"\x7fELF") :]
    assert int.from_bytes(code[18:20], "little") == AMDGPU
    assert b"f_kernel.kd" in code
