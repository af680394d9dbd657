import pytest

from .matmul_reference import (
    SHAPES,
    assert_product,
    every_format,
    every_shape,
    every_target,
)

LENGTHS = [(length,) for length in (13, 16, 29)]


@every_target
@every_format
@every_shape
def test_equals_the_product_in_float64(target_name, format_name, n, k, rng):
    lead = ("rows",)
    assert_product(target_name, format_name, n, k, lead, LENGTHS, rng)


@pytest.mark.parametrize("rows", [13, 24, 31])
def test_takes_a_constant_number_of_rows(rows, rng):
    n, k = SHAPES[0]
    assert_product("host", "q4f16", n, k, (1, rows), [(1, rows)], rng)


@pytest.mark.parametrize("format_name", ["q4f16", "f32"])
def test_sums_over_many_steps_of_k(format_name, rng):
    assert_product("host", format_name, 50, 1000, ("m",), [(20,)], rng)
