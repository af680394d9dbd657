import re

import numpy as np
import pytest
import tvm
from tvm import relax, tirx
from tvm.target import Target

from mlcx.compiler.kernels.cpu.matmul import matmul, serves_any
from mlcx.compiler.kernels.cpu.weights import Float8, GroupQuantized, WordsOfColumns

from .matmul_reference import FORMATS, TARGETS, assert_product, random_weight

OPAQUE = 8
"""What relax calls an operator that nothing may be fused into."""

EVERY_KERNEL = (1, 2, 3, 12, 13)
"""Numbers of rows that among them reach every kernel there is."""


@pytest.mark.parametrize("lead", [("n",), (1, "n"), ("n", 1), ("n", 2), ("n", "m")])
def test_takes_activations_of_any_leading_dims(lead, rng):
    shapes = [tuple(n if isinstance(d, str) else d for d in lead) for n in EVERY_KERNEL]
    assert_product("host", "q4f16", 40, 64, lead, shapes, rng)


def test_puts_float32_out_of_float16_for_logits(rng):
    shapes = [(rows, 1) for rows in EVERY_KERNEL]
    assert_product("host", "q4f16", 40, 64, ("n", 1), shapes, rng, "float32")


@pytest.mark.parametrize("rows", EVERY_KERNEL)
def test_one_kernel_serves_weights_of_every_width(rows, rng):
    for n in (48, 49, 259):
        assert_product("host", "q4f16", n, 64, ("n",), [(rows,)], rng)


@pytest.mark.parametrize(
    ("n", "fmt"),
    [
        (5, GroupQuantized(4, 32, "float16")),
        (259, GroupQuantized(4, 32, "float16", transposed=True)),
        (256, WordsOfColumns((0, 4, 8, 12, 16, 20, 24, 28), 128, "float16")),
        (259, Float8("float8_e4m3fn", True, 128, 64)),
    ],
    ids=["narrow", "transposed", "columns", "blocks"],
)
def test_a_kernel_has_the_width_in_it_where_that_decides_its_form(n, fmt):
    assert not serves_any(TARGETS["host"], fmt, n)


def test_serves_call_tir_of_relax(rng):
    fmt, dtype = FORMATS["q4f16"]
    weight = random_weight(fmt, 24, 96, rng)
    batch = tirx.Var("batch_size", "int64")
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((batch, 1, 96), dtype))
    stored = [
        relax.Var(f"w{i}", relax.TensorType(array.shape, str(array.dtype)))
        for i, array in enumerate(weight.arrays)
    ]
    kernel = matmul(TARGETS["host"], fmt, ("batch_size", 1), 24, 96, dtype, dtype)
    with builder.function("main", [x, *stored]):
        out = relax.TensorType((batch, 1, 24), dtype)
        name = builder.add_func(kernel, "matmul")
        product = builder.emit(relax.call_tir(name, [x, *stored], out))
        builder.emit_func_output(product)
    built = tvm.compile(builder.get(), target=TARGETS["host"])
    machine = relax.VirtualMachine(built, tvm.cpu())
    for rows in EVERY_KERNEL:
        activations = rng.standard_normal((rows, 1, 96)).astype(dtype)
        arguments = (tvm.runtime.tensor(a) for a in (activations, *weight.arrays))
        got = machine["main"](*arguments).numpy()
        expected = activations.astype("float64") @ weight.matrix.T
        np.testing.assert_allclose(got, expected, rtol=1e-2, atol=1e-2)


def test_names_a_repeated_symbol_once():
    fmt, dtype = FORMATS["f32"]
    kernel = matmul(TARGETS["host"], fmt, ("n", 1), 8, 8, dtype, dtype)
    x, _, out = kernel.params
    assert x.shape[0].same_as(out.shape[0])


def test_is_not_scheduled_or_fused_again():
    fmt, dtype = FORMATS["f32"]
    kernel = matmul(TARGETS["host"], fmt, (1, 1), 8, 8, dtype, dtype)
    assert kernel.attrs["tirx.is_scheduled"]
    assert kernel.attrs["op_pattern"] == OPAQUE


@pytest.mark.parametrize("triple", ["aarch64-linux-gnu", "arm64-apple-macos"])
def test_multiplies_and_adds_in_one_instruction_on_arm(triple):
    fmt, dtype = FORMATS["q4f16"]
    target = Target({"kind": "llvm", "mtriple": triple})
    kernel = matmul(target, fmt, (1, 1), 64, 64, dtype, dtype)
    module = tvm.tirx.build(kernel.with_attr("global_symbol", "f"), target=target)
    assembly = module.inspect_source("asm")
    assert "fmla" in assembly
    assert not re.search(r"\bbl\s+_*extendhfsf2", assembly)


def test_refuses_groups_that_vectors_do_not_end_with():
    with pytest.raises(AssertionError):
        GroupQuantized(4, 48, "float16")
