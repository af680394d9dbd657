"""The kernels of a cache on GPUs: which there are, and that every language has them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tvm
from tvm import tirx
from tvm.target import Target
from tvm.tirx.transform import BindTarget, ForceNarrowIndexToInt32

from mlcx.compiler.cuda.imports import source_only
from mlcx.compiler.passes.gpu_kv_cache import gpu_kv_kernels
from mlcx.compiler.passes.gpu_narrow import NarrowIntegers
from mlcx.compiler.targets import target_of
from mlcx.errors import BuildError
from mlcx.nn.kv_cache import KVCacheSpec
from mlcx.toolchain import nvrtc

NARROW = KVCacheSpec(2, 6, 2, 16, 16, 1e4, None, "float16")
"""Heads too narrow for TVM's attention, so that it is our own."""
WINDOW = replace(NARROW, window=24, sink=4)
CAPPED = replace(NARROW, layer_window=21, softcap=30.0)
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
LONGROPE = {"rope_type": "longrope", "factors": [1.0 + i for i in range(8)]}
OVER_WINDOWS = slice(4, 6)
OWN = slice(1, 10)
"""Attention, what merges its results and what splits heads."""


def there(kernel: tirx.PrimFunc | None) -> bool:
    """Say whether there is a kernel, and not what only refuses to be called."""
    return kernel is not None and not isinstance(kernel.body, tirx.AssertStmt)


def source(spec: KVCacheSpec, target: Target) -> tuple[str, set[str]]:
    """Return the source of the kernels of our own, and how they are called in it."""
    own = [each for each in gpu_kv_kernels(spec, target)[OWN] if there(each)]
    named = {str(each.attrs["global_symbol"]): each for each in own}
    assert len(named) == len(own)
    module = BindTarget(target)(tvm.IRModule(named))
    if target.kind.name != "cuda":
        module = NarrowIntegers()(ForceNarrowIndexToInt32()(module))
    with target, source_only():
        built = tvm.tirx.build(module, target)
    (device,) = built.imports
    return device.inspect_source(), {f"{name}_kernel" for name in named}


def test_a_model_without_a_window_has_no_kernels_over_one() -> None:
    target = target_of("opencl")
    assert gpu_kv_kernels(NARROW, target)[OVER_WINDOWS] == [None, None]
    assert None not in gpu_kv_kernels(WINDOW, target)


@pytest.mark.parametrize("scaling", [LLAMA3, LONGROPE], ids=["llama3", "longrope"])
def test_keys_in_a_window_that_turn_by_no_law_are_refused(
    scaling: dict[str, object],
) -> None:
    expected = (
        r"target webgpu: rope_scaling \{.*, expected none or linear, .* compile "
        "without sliding_window_size or for the device cpu"
    )
    with pytest.raises(BuildError, match=expected):
        gpu_kv_kernels(replace(WINDOW, rope_scaling=scaling), target_of("webgpu"))


def test_keys_in_a_window_may_turn_slower() -> None:
    linear = {"rope_type": "linear", "factor": 4.0}
    kernels = gpu_kv_kernels(replace(WINDOW, rope_scaling=linear), target_of("opencl"))
    assert None not in kernels


@pytest.mark.slow
@pytest.mark.parametrize("spec", [WINDOW, CAPPED], ids=["window", "capped"])
@pytest.mark.parametrize("device", ["webgpu", "metal", "opencl"])
def test_every_kernel_has_its_source(device: str, spec: KVCacheSpec) -> None:
    text, names = source(spec, target_of(device))
    assert {name for name in names if name in text} == names


@pytest.mark.slow
@pytest.mark.skipif(nvrtc.home() is None, reason=nvrtc.REMEDY)
@pytest.mark.parametrize("spec", [WINDOW, CAPPED], ids=["window", "capped"])
def test_nvidias_compiler_takes_every_kernel(spec: KVCacheSpec) -> None:
    images = pytest.importorskip("cuda_images")
    text, names = source(spec, target_of("cuda"))
    assert names <= images.kernels(nvrtc.compile_source(text, "sm_80").cubin)
