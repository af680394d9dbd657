import pytest

from .matmul_reference import (
    SHAPES,
    assert_product,
    every_format,
    every_shape,
    every_target,
)

BATCHES = [(rows,) for rows in (1, 2, 3, 4, 5, 12)]


@every_target
@every_format
@every_shape
def test_equals_the_product_in_float64(target_name, format_name, n, k, rng):
    lead = ("rows",)
    assert_product(target_name, format_name, n, k, lead, BATCHES, rng)


@pytest.mark.parametrize("rows", [2, 3, 7])
def test_takes_a_constant_number_of_rows(rows, rng):
    n, k = SHAPES[0]
    assert_product("host", "q4f16", n, k, (rows, 1), [(rows, 1)], rng)
