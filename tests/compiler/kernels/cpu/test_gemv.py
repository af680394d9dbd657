import pytest

from .matmul_reference import (
    assert_product,
    every_format,
    every_shape,
    every_target,
)


@every_target
@every_format
@every_shape
def test_equals_the_product_in_float64(target_name, format_name, n, k, rng):
    assert_product(target_name, format_name, n, k, (1, 1), [(1, 1)], rng, "float32")


@pytest.mark.parametrize("format_name", ["q4f16", "f16"])
def test_rounds_to_float16_only_at_the_end(format_name, rng):
    assert_product("host", format_name, 16, 4096, (1, 1), [(1, 1)], rng)
