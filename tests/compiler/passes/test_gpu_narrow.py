"""WebGPU's kernels have no integers of 64 bits, and read no more than ten buffers."""

from __future__ import annotations

import pytest
import tvm
from tvm import s_tir, tirx
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.argsort import argsort_descending
from mlcx.compiler.kernels.script import array, define
from mlcx.compiler.passes.gpu_kv_cache import gpu_kv_kernels
from mlcx.compiler.passes.gpu_narrow import NarrowIntegers
from mlcx.compiler.targets import target_of
from mlcx.nn.kv_cache import KVCacheSpec

TARGET = target_of("webgpu")
TREE = "attention_paged_tree"
SPEC = {
    "num_layers": 2,
    "num_q_heads": 6,
    "num_kv_heads": 3,
    "head_dim": 20,
    "rope_theta": 1e4,
    "rotary_dim": 20,
    "rope_scaling": None,
    "dtype": "float16",
}


def shaders(spec: KVCacheSpec, *names: str) -> dict[str, str]:
    """Return the shaders of attention: kernel to WGSL; without names all of them."""
    found = {}
    for kernel in filter(None, gpu_kv_kernels(spec, TARGET)[1:8]):
        name = str(kernel.attrs["global_symbol"])
        if names and name not in names:
            continue
        module = tvm.IRModule({name: kernel.with_attr("target", TARGET)})
        passes = (tirx.transform.ForceNarrowIndexToInt32(), NarrowIntegers())
        with TARGET:
            built = tvm.tirx.build(tvm.transform.Sequential(passes)(module), TARGET)
        found[name] = "".join(each.inspect_source() for each in built.imports)
    return found


def test_a_kernel_reads_as_many_buffers_as_webgpu_has_or_says_that_it_cannot() -> None:
    free = shaders(KVCacheSpec(**SPEC), TREE)[TREE]
    assert "@compute" in free
    assert free.count("var<storage") == 10
    # With a window in some layers it would read the positions too.
    assert shaders(KVCacheSpec(**SPEC, layer_window=8), TREE) == {TREE: ""}


def test_sorting_more_than_a_tile_shifts_numbers_that_are_narrow_too() -> None:
    kernel = argsort_descending(1200).with_attr("target", TARGET)
    module = tvm.IRModule({"main": kernel.with_attr("global_symbol", "argsort")})
    passes = (
        tirx.transform.ForceNarrowIndexToInt32(),
        NarrowIntegers(),
        # Compares the types of what it adds up.
        s_tir.transform.CompactBufferAllocation(),
    )
    text = tvm.transform.Sequential(passes)(module).script()
    assert "<<" in text
    assert "int64" not in text


def test_a_kernel_that_cannot_be_narrowed_is_named() -> None:
    def emit() -> None:
        wide, out = array("wide", (4,), "int64"), array("out", (4,), "int32")
        with T.serial(4) as i:
            T.buffer_store(out, T.Cast("int32", wide[i] + 1), [i])

    module = tvm.IRModule({"main": define("sums", emit)})
    with pytest.raises(RuntimeError, match="sums keeps integers of 64 bits: Add, "):
        NarrowIntegers()(module)


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked", [{}, {"layer_window": 8, "softcap": 5.0}, {"window": 12, "sink": 2}]
)
def test_kernels_of_attention_are_ones_that_webgpu_has(asked: dict[str, float]) -> None:
    found = shaders(KVCacheSpec(**{**SPEC, **asked}))
    found.pop(TREE)
    assert all(shader.count("var<storage") <= 10 for shader in found.values())
    assert all("@compute" in shader for shader in found.values())
