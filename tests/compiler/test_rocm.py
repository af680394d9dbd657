"""Kernels for AMD's GPUs, made without an installed ROCm."""

from __future__ import annotations

import pytest
import tvm
from tvm import tirx
from tvm.runtime import _ffi_api
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import each
from mlcx.compiler.kernels.script import array, define
from mlcx.compiler.rocm import prepare, quiet
from mlcx.compiler.targets import target_of
from mlcx.errors import UsageError
from mlcx.toolchain.needs import needs, refusal
from mlcx.toolchain.triple import AUTO, parse

LACKS = refusal("rocm", needs("rocm", parse(AUTO), ".so"))
AMDGPU = 224
"""The machine's number in ELF."""


@pytest.mark.skipif(bool(LACKS), reason=LACKS)
def test_a_kernel_is_a_code_object_of_amds_loader(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def emit() -> None:
        x, y = (array(name, (1024,), "float32") for name in "xy")
        each(T.int64(1024), lambda i: T.buffer_store(y, T.tanh(x[i]), [i]))

    with quiet("rocm"):
        target = target_of("rocm")
        prepare(target)
        module = tvm.IRModule({"f": define("f", emit).with_attr("target", target)})
        with target:
            narrow = tirx.transform.ForceNarrowIndexToInt32()(module)
            built = tvm.tirx.build(narrow, target)
    assert capfd.readouterr().err == ""
    packed = _ffi_api.ModulePackImportsToTensor(built).numpy().tobytes()
    code = packed[packed.index(b"\x7fELF") :]
    assert int.from_bytes(code[18:20], "little") == AMDGPU
    assert b"f_kernel.kd" in code


DESCRIBED = '{"kind": "rocm", "mcpu": "gfx90a", "thread_warp_size": 64'


@pytest.mark.parametrize("limit", ["max_num_threads", "max_threads_per_block"])
def test_groups_of_more_threads_than_kernels_are_compiled_for_are_refused(
    limit: str, capfd: pytest.CaptureFixture[str]
) -> None:
    device = f'{DESCRIBED}, "{limit}": 1024}}'
    with quiet(device):
        target = target_of(device)
    with pytest.raises(UsageError, match=f"{limit} is 1024, expected 256 or less"):
        prepare(target)
    assert capfd.readouterr().err == ""


def test_nothing_is_left_out_for_other_devices(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for device in ("cpu", "cuda", "nvidia/geforce-rtx-4090", '{"kind": "opencl"}'):
        with quiet(device):
            target_of("rocm")
        assert "Unable to detect ROCm version" in capfd.readouterr().err
