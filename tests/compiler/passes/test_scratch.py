"""Memory that kernels take for themselves counts at the largest sizes."""

import pytest
import tvm
from tvm import relax
from tvm.script import tirx as T

from mlcx.compiler.passes.attach_metadata import memory_usage
from mlcx.compiler.passes.scratch import scratch_bytes


@T.prim_func(private=True, s_tir=True)
def kernel(x: T.handle, out: T.handle):
    rows = T.int64()
    given = T.match_buffer(x, (rows, 64), "float16")
    result = T.match_buffer(out, (rows, 64), "float16")
    if rows <= T.int64(8):
        few = T.alloc_buffer((1 << 20,), "float32")
        few[0] = T.float32(given[0, 0])
        result[0, 0] = T.float16(few[0])
    else:
        wide = T.alloc_buffer(((rows + T.int64(3)) // T.int64(4), 64, 4), "float32")
        for block in T.parallel((rows + T.int64(3)) // T.int64(4)):
            sums = T.alloc_buffer((rows, 24), "float32")
            register = T.alloc_buffer((8,), "float32")
            shared = T.alloc_buffer((4096,), "float32", scope="shared")
            register[0] = T.float32(given[block, 0])
            shared[0] = register[0]
            sums[block, 0] = shared[0]
            wide[block, 0, 0] = sums[block, 0]
            result[block, 0] = T.float16(wide[block, 0, 0])


def module(bounds: dict[str, int]) -> tvm.IRModule:
    """Return a graph that calls the kernel with texts of up to so many tokens."""
    builder = relax.BlockBuilder()
    called = builder.add_func(kernel, "kernel")
    shape = relax.TensorType([tvm.tirx.Var("seq_len", "int64"), 64], "float16")
    x = relax.Var("x", shape)
    with builder.function("main", [x], attrs={"tir_var_upper_bound": bounds}):
        builder.emit_func_output(builder.emit(relax.call_tir(called, [x], shape)))
    return relax.transform.CallTIRRewrite()(builder.get())


@pytest.mark.parametrize(
    ("bounds", "nbytes"),
    [
        ({"seq_len": 101}, 26 * 64 * 4 * 4 + 101 * 24 * 4),
        ({"seq_len": 8}, 4 << 20),
        ({}, 4 << 20),
    ],
)
def test_buffers_count_of_the_branch_that_is_taken(
    bounds: dict[str, int], nbytes: int
) -> None:
    found = module(bounds)
    assert scratch_bytes(found, found["main"]) == nbytes


def test_it_is_part_of_the_memory_that_a_library_tells() -> None:
    found = module({"seq_len": 8})
    assert memory_usage(found)["main"] == 4 << 20
